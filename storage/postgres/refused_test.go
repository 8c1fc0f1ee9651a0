package postgres

import (
	"strings"
	"testing"
)

// TestRefusedServers: what would lose acknowledged deposits is refused when the ledger is
// opened, and the refusal says which setting it is.
func TestRefusedServers(t *testing.T) {
	p := newDatabase(t)
	for _, r := range []struct{ setting, off, on string }{
		{"fsync", "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM RESET fsync"},
		{"full_page_writes", "ALTER SYSTEM SET full_page_writes = off", "ALTER SYSTEM RESET full_page_writes"},
		{"synchronous_commit", "ALTER SYSTEM SET synchronous_commit = off", "ALTER SYSTEM RESET synchronous_commit"},
		{"synchronous_commit", "ALTER ROLE app SET synchronous_commit = off", "ALTER ROLE app RESET synchronous_commit"},
		{"synchronous_commit", "ALTER DATABASE muniment SET synchronous_commit = off", "ALTER DATABASE muniment RESET synchronous_commit"},
	} {
		run(t, p.URL(), r.off, "SELECT pg_reload_conf()")
		eventually(t, "the setting is in force: "+r.off, func() bool { return setting(t, p.AppURL(), r.setting) == "off" })
		l, err := Open(t.Context(), Config{URL: p.AppURL()})
		if err == nil {
			l.Close()
			t.Errorf("%s: opened", r.off)
		} else if !strings.Contains(err.Error(), r.setting+"=on") {
			t.Errorf("%s: the refusal does not say what to do: %v", r.off, err)
		}
		run(t, p.URL(), r.on, "SELECT pg_reload_conf()")
		eventually(t, "the setting is gone: "+r.on, func() bool { return setting(t, p.AppURL(), r.setting) == "on" })
	}
	must(t, openAs(t, p.AppURL()).Close())
}

// setting is what a new connection finds.
func setting(t *testing.T, url, name string) (value string) {
	t.Helper()
	conn := superuser(t, Config{URL: url, Schema: defaultSchema})
	defer conn.Close(t.Context())
	must(t, conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value))
	return value
}

// TestRefusedLogins: a login that was not granted the roles, or a database where nothing
// was laid out, is told what to do; and no refusal holds a password.
func TestRefusedLogins(t *testing.T) {
	p, schema := cluster, fresh(t).Schema
	for what, c := range map[string]Config{
		"no roles":        {URL: p.AppURL(), Schema: schema},
		"no schema":       {URL: p.URL(), Schema: "elsewhere"},
		"wrong password":  {URL: strings.Replace(p.AppURL(), "@", "x@", 1)},
		"no such host":    {URL: strings.Replace(p.AppURL(), "127.0.0.1", "no.such.host.invalid", 1)},
		"no URL":          {URL: strings.Replace(p.AppURL(), "sslmode=disable", "sslmode=perhaps", 1)},
		"wrong port":      {URL: strings.Replace(p.AppURL(), "127.0.0.1:", "127.0.0.1:x", 1)},
		"a hostile name":  {URL: p.URL(), Schema: `x"; DROP SCHEMA muniment CASCADE; --`},
		"few connections": {URL: p.URL(), Connections: 2},
	} {
		l, err := Open(t.Context(), c)
		if err == nil {
			l.Close()
			t.Errorf("%s: opened", what)
		} else if strings.Contains(err.Error(), password(p.URL())) {
			t.Errorf("%s: the refusal holds the password: %v", what, err)
		}
	}
}

func password(url string) string {
	_, after, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), ":")
	before, _, _ := strings.Cut(after, "@")
	return before
}
