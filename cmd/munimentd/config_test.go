package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// samples are three values of each setting, as text: for the file, the environment and
// the flag. A setting that has none here fails the test.
var samples = map[string][3]string{
	"dir":                         {"/a", "/b", "/c"},
	"listen":                      {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
	"max-document":                {"1", "2", "3"},
	"accept-clock":                {"true", "false", "true"},
	"canary":                      {"1s", "2s", "0s"},
	"witness":                     {"advisory", "required", "advisory"},
	"log-format":                  {"json", "text", "json"},
	"ledger.engine":               {"postgres", "pebble", "postgres"},
	"ledger.postgres.url":         {"postgres://a", "host=b", "postgres://c"},
	"ledger.postgres.schema":      {"a", "b", "c"},
	"ledger.postgres.connections": {"5", "6", "7"},
	"blobs.engine":                {"s3", "dir", "s3"},
	"blobs.s3.endpoint":           {"http://a", "https://b", "http://c:9000"},
	"blobs.s3.region":             {"a", "b", "c"},
	"blobs.s3.bucket":             {"a", "b", "c"},
	"blobs.s3.prefix":             {"a/", "b/", "c/d/"},
	"blobs.s3.access-key":         {"a", "b", "c"},
	"blobs.s3.secret-key":         {"a", "b", "c"},
	"blobs.s3.retention":          {"10y", "3650d", "1d"},
	"blobs.s3.retention-mode":     {"GOVERNANCE", "COMPLIANCE", "GOVERNANCE"},
	"blobs.s3.legal-hold":         {"true", "false", "true"},
	"blobs.s3.tenants": {
		"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {bucket: a}}",
		"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {bucket: b}}",
		"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {bucket: c}}",
	},
	"anchors":                 {"[s3]", "[dir:/b]", "[s3, postgres]"},
	"anchor.s3.endpoint":      {"http://a", "https://b", "http://c:9000"},
	"anchor.s3.region":        {"a", "b", "c"},
	"anchor.s3.bucket":        {"a", "b", "c"},
	"anchor.s3.prefix":        {"a/", "b/", "c/"},
	"anchor.s3.access-key":    {"a", "b", "c"},
	"anchor.s3.secret-key":    {"a", "b", "c"},
	"anchor.postgres.url":     {"postgres://a", "host=b", "postgres://c"},
	"log-key.pem":             {"a", "b", "c"},
	"log-key.passphrase":      {"a", "b", "c"},
	"log-key.passphrase-file": {"/a", "/b", "/c"},
	"log-key.pkcs11.module":   {"/a.so", "/b.so", "/c.so"},
	"log-key.pkcs11.token":    {"a", "b", "c"},
	"log-key.pkcs11.keys":     {"[a]", "[b]", "[b, c]"},
	"log-key.pkcs11.pin":      {"a", "b", "c"},
	"anchor.postgres.schema":  {"a", "b", "c"},
	"timestamp.authorities":   {"['http://a']", "['http://b']", "['http://c', 'http://d']"},
	"timestamp.roots":         {"/a", "/b", "/c"},
	"timestamp.every":         {"1h0m0s", "2h0m0s", "0s"},
	"checks.tenants":          {"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {require: [provenance.system], content: digest}}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {types: [application/pdf], max-size: 5, signing-keys: [bf5851811b6c2d7a2d024d2d1a8297f9a405779b1e919a6584d2d5f8eccdde1c]}}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {contract: 'HT-[0-9]+', signature: intact}}"},
	"signatures.roots":        {"/a", "/b", "/c"},
	"limits.deposits":         {"1", "2", "0"},
	"limits.burst":            {"1", "2", "3"},
	"certificate.key":         {"/a", "/b", "/c"},
	"certificate.chain":       {"/a", "/b", "/c"},
	"certificate.verify-url":  {"https://a/verify", "https://b/verify", "http://c:8080/v"},
	"certificate.tenants":     {"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {logo: /a.png}}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {statement: b}}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {logo: /c.png, statement: c}}"},
	"oidc.issuers": {
		"{https://a.example: {audience: m, tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role-claim: r, roles: {x: depositor}}}",
		"{https://b.example: {audience: m, tenant-claim: org, tenants: {one: 01a2070d-4e2f-7d00-87c7-be68003ebf3d}, role-claim: r, roles: {x: compliance}}}",
		"{https://c.example: {audience: m, tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role-claim: r, roles: {x: auditor}, supervises: [01a2070d-4e2f-7d00-87c7-be68003ebf3e], max-age: 5m0s, ca: f}}",
	},
	"console.enabled": {"off", "on", "off"},
	"console.url":     {"https://a.example", "https://b.example:8443", "http://127.0.0.1:8080"},
	"tls.certificate": {"a", "b", "c"},
	"tls.key":         {"a", "b", "c"},
	"tls.client-ca":   {"a", "b", "c"},
	"tls.callers": {
		"{\"CN=a\": {tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role: depositor}}", "{\"DNS:b.example\": {tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role: compliance}}",
		"{\"URI:spiffe://c\": {tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role: auditor, supervises: [01a2070d-4e2f-7d00-87c7-be68003ebf3e]}}",
	},
	"language":             {"zh", "en", "zh"},
	"sm3":                  {"on", "off", "on"},
	"quotas.deposits":      {"1", "2", "3"},
	"quotas.bytes":         {"1", "2", "3"},
	"quotas.tenants":       {"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {deposits: 1}}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {bytes: 2}}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {deposits: 3, bytes: 4}}"},
	"limits.tenants":       {"{01a2070d-4e2f-7d00-87c7-be68003ebf3d: 1}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: 2}", "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: 0}"},
	"retention.classes":    {"{loan: terms.end + 5 years}", "{default: 10 years}", "{default: 1 day, loan: 18 months}"},
	"timestamp.policy":     {"1.2.3", "1.2.4", "1.2.5"},
	"webhooks.networks":    {"[10.0.0.0/8]", "[10.1.0.0/16]", "['fd00::/8', 10.0.0.0/8]"},
	"facts.operator":       {"a", "b", "c"},
	"facts.registration":   {"a", "b", "c"},
	"facts.address":        {"a", "b", "c"},
	"facts.contact":        {"a", "b", "c"},
	"facts.qualifications": {"[a]", "[b]", "[b, c]"},
	"facts.neutrality":     {"a", "b", "c"},
	"facts.security":       {"a", "b", "c"},
	"facts.standards":      {"[a]", "[b]", "[b, c]"},
	"kms.engine":           {"vault", "file", "vault"},
	"kms.hold":             {"2h", "3h", "0s"},
	"kms.vault.address":    {"https://a.example", "https://b.example", "https://c.example:8200"},
	"kms.vault.mount":      {"a", "b/c", "d"},
	"kms.vault.key":        {"a", "b", "c"},
	"kms.vault.namespace":  {"a", "b/c", "d"},
	"kms.vault.token":      {"a", "b", "c"},
	"kms.vault.token-file": {"/a", "/b", "/c"},
	"kms.vault.ca":         {"/a", "/b", "/c"},
	"trillian.mode":        {"remote", "off", "remote"},
	"trillian.rule":        {"advisory", "required", "advisory"},
	"trillian.address":     {"a:1", "b:2", "c:3"},
	"trillian.ca":          {"/a", "/b", "/c"},
	"trillian.certificate": {"/a", "/b", "/c"},
	"trillian.key":         {"/a", "/b", "/c"},
}

// whole is every other setting that a value of one may ask for.
const whole = `
dir: /whole
ledger: {engine: postgres, postgres: {url: "postgres://u@h/d"}}
blobs: {engine: dir, s3: {endpoint: "http://h", bucket: b, access-key: k, secret-key: s}}
anchors: [s3]
anchor: {s3: {bucket: w, access-key: k, secret-key: s}}
log-key: {pkcs11: {module: /w.so, token: w, keys: [w]}}
timestamp: {authorities: ["http://w"], roots: /w}
kms: {engine: vault, vault: {address: "https://w", key: w, token: w}}
trillian: {mode: remote, address: "w:1", certificate: /w, key: /w}
tls: {certificate: /w, key: /w, client-ca: /w, callers: {CN=w: {tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role: depositor}}}
certificate: {key: /w, chain: /w}
`

// told is the text of a file with one setting besides the others.
func told(t *testing.T, name, text string) string {
	t.Helper()
	var all map[string]any
	if err := yaml.Unmarshal([]byte(whole), &all); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	words, at := strings.Split(name, "."), all
	for _, w := range words[:len(words)-1] {
		if _, ok := at[w]; !ok {
			at[w] = map[string]any{}
		}
		at = at[w].(map[string]any)
	}
	at[words[len(words)-1]] = v
	data, err := yaml.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// configOf reads a configuration as a command does.
func configOf(t *testing.T, file string, environ []string, args ...string) (*config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &cobra.Command{Use: "test"}
	settingFlags(c, onlyDir)
	if err := c.ParseFlags(append([]string{"--config", path}, args...)); err != nil {
		return nil, nearestFlag(c, err)
	}
	return readConfig(c.Flags(), environ)
}

func settingOf(t *testing.T, c *config, name string) (any, origin) {
	t.Helper()
	for _, s := range c.settings {
		if s.name == name {
			return s.value.get(), c.origin(s)
		}
	}
	t.Fatalf("no setting %s", name)
	return nil, ""
}

// TestPrecedence: of every setting the file wins over the default, the environment over
// the file, and the flag over both.
func TestPrecedence(t *testing.T) {
	for _, s := range newConfig().settings {
		t.Run(s.name, func(t *testing.T) {
			sample, ok := samples[s.name]
			if !ok {
				t.Fatal("no samples of it")
			}
			file, env, flag := told(t, s.name, sample[0]), s.env()+"="+sample[1], "--"+s.flag()+"="+sample[2]
			for _, c := range []struct {
				from   origin
				text   string
				env    []string
				flags  []string
				inFile string
			}{
				{fromFile, sample[0], nil, nil, file},
				{fromEnvironment, sample[1], []string{env}, nil, file},
				{fromFlag, sample[2], []string{env}, []string{flag}, file},
				{fromFlag, sample[2], nil, []string{flag}, file},
				{fromEnvironment, sample[1], []string{env}, nil, whole},
				{fromFlag, sample[2], nil, []string{flag}, whole},
			} {
				got, err := configOf(t, c.inFile, c.env, c.flags...)
				if err != nil {
					t.Fatalf("%s: %v", c.from, err)
				}
				want := newConfig()
				for _, w := range want.settings {
					if w.name == s.name {
						if err := w.value.set(c.text); err != nil {
							t.Fatal(err)
						}
					}
				}
				wanted, _ := settingOf(t, want, s.name)
				if v, from := settingOf(t, got, s.name); !reflect.DeepEqual(v, wanted) || from != c.from {
					t.Errorf("%v from %s, want %v from %s", v, from, wanted, c.from)
				}
			}
		})
	}
}

// TestConfigIsAFile: what munimentd config prints can be the file, and says the same.
func TestConfigIsAFile(t *testing.T) {
	for name, sample := range samples {
		c, err := configOf(t, strings.ReplaceAll(told(t, name, sample[0]), "secret-key: s", "secret-key: \"\""), []string{"MUNIMENT_BLOBS_S3_SECRET_KEY=s", "MUNIMENT_ANCHOR_S3_SECRET_KEY=s"})
		if err != nil {
			t.Fatal(name, err)
		}
		var out bytes.Buffer
		if err := c.printYAML(&out); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimRight(line, "\n"); !strings.HasSuffix(line, ":") && !strings.Contains(line, " # ") {
				t.Errorf("a line does not say where it comes from: %s", line)
			}
		}
		again, err := configOf(t, strings.ReplaceAll(out.String(), mask, "s"), nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out.String())
		}
		for _, s := range c.settings {
			was, _ := settingOf(t, c, s.name)
			is, from := settingOf(t, again, s.name)
			if strings.Contains(s.name, "secret-key") || s.name == "kms.vault.token" || strings.HasPrefix(s.name, "log-key.") && s.value.masked != nil {
				continue
			}
			if !reflect.DeepEqual(was, is) || from != fromFile {
				t.Errorf("%s: %v, was %v\n%s", s.name, is, was, out.String())
			}
		}
	}
}

// TestUnknownSettings: what is no setting is refused wherever it stands, with the name
// that is nearest.
func TestUnknownSettings(t *testing.T) {
	for _, c := range []struct {
		file  string
		env   []string
		flags []string
		want  string
	}{
		{"ledger: {postgres: {ulr: x}}", nil, nil, `line 1: there is no setting "ledger.postgres.ulr"; did you mean ledger.postgres.url?`},
		{"ledger: postgres", nil, nil, `"ledger"; did you mean ledger.engine?`},
		{"leger: {engine: postgres}", nil, nil, `"leger.engine"; did you mean ledger.engine?`},
		{"Listen: x", nil, nil, `"Listen"; did you mean listen?`},
		{"anchors: []\nanchor: {s4: {bucket: x}}", nil, nil, `line 2: there is no setting "anchor.s4.bucket"; did you mean anchor.s3.bucket?`},
		{"ledger.engine: postgres\nledger: {engine: pebble}", nil, nil, "stands here a second time"},
		{"listen: a\nlisten: b", nil, nil, "stands here a second time"},
		{"<<: {listen: a}", nil, nil, "there is no setting"},
		{"[listen]", nil, nil, "not a map of settings"},
		{"listen: a\n---\nlisten: b", nil, nil, "more than one document"},
		{"listen: [a]", nil, nil, "listen is one value"},
		{"listen:", nil, nil, "listen has no value"},
		{"blobs: {s3: {tenants: {01a2070d-4e2f-7d00-87c7-be68003ebf3d: {buckt: b}}}}", nil, nil, `"buckt"; did you mean bucket?`},
		{"", []string{"MUNIMENT_LEDGER_ENGIN=x"}, nil, `"MUNIMENT_LEDGER_ENGIN"; did you mean MUNIMENT_LEDGER_ENGINE?`},
		{"", []string{"MUNIMENT_CONFG=x"}, nil, "did you mean MUNIMENT_CONFIG?"},
		{"", nil, []string{"--ledger-postgres-ulr=x"}, "unknown flag: --ledger-postgres-ulr; did you mean --ledger-postgres-url?"},
	} {
		_, err := configOf(t, c.file, append(c.env, "MUNIMENT_DIR=d"), c.flags...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q %q: %v, want %s", c.file, c.env, c.flags, err, c.want)
		}
	}
	for _, name := range append(foreign, "MUNIMENT_SERVICE_HOST", "MUNIMENT_SERVICE_PORT_HTTP", "MUNIMENT_PORT", "MUNIMENT_PROD_PORT_8080_TCP_ADDR") {
		if _, err := configOf(t, "", []string{"MUNIMENT_DIR=d", name + "=1"}); err != nil {
			t.Error(err)
		}
	}
}

// TestWrongSettings: a value that is not allowed is refused with what is, and two that do
// not go together with why.
func TestWrongSettings(t *testing.T) {
	const store = "blobs: {engine: s3, s3: {endpoint: 'http://h', bucket: b, access-key: k, secret-key: s}}\n"
	const database = "ledger: {engine: postgres, postgres: {url: host=h}}\n"
	for _, c := range []struct{ file, want string }{
		{"max-document: lots", `settings.yaml: max-document "lots" is not a whole number from 1 to`},
		{"accept-clock: maybe", `"maybe" is not true or false`},
		{"canary: 10ms", "canary 10ms is neither 0 nor 1s or more"},
		{"canary: 10", `"10" is not a time, as in 30s or 5m`},
		{"ledger: {engine: mysql}", `ledger.engine "mysql" is not pebble or postgres`},
		{"ledger: {engine: postgres}", "ledger.postgres.url must be set"},
		{"ledger: {postgres: {schema: 'a; drop'}}", "ledger.postgres.schema is not a name of lower-case letters"},
		{"blobs: {engine: s3}", "blobs.s3: endpoint must be set"},
		{"blobs: {s3: {endpoint: 'ftp://h'}}", "blobs.s3.endpoint is not a URL"},
		{"blobs: {s3: {endpoint: 'https://user:word@h'}}", "blobs.s3.endpoint is not a URL"},
		{"blobs: {s3: {prefix: a}}", "end in one /"},
		{"blobs: {s3: {retention: 10}}", `"10" is not a number of years or days`},
		{"blobs: {s3: {retention: 101y}}", "is more than 100 years"},
		{"blobs: {s3: {retention-mode: NONE}}", "is not COMPLIANCE or GOVERNANCE"},
		{"blobs: {s3: {tenants: [a]}}", "is not a map"},
		{"blobs: {s3: {tenants: {x: {bucket: b}}}}", "that is no tenant id"},
		{store + "anchors: s3", "anchors is not a list"},
		{store + "anchors: [s4]", `anchors names "s4"`},
		{store + "anchors: ['dir:relative']", "absolute path"},
		{store + "anchors: [s3]", "anchor.s3: bucket must be set"},
		{store + "anchors: ['dir:/a', 'dir:/a']", "twice"},
		{"anchors: [postgres]", "set anchor.postgres.url"},
		{"log-key: {passphrase: a, passphrase-file: b}", "are both set"},
		{"log-key: {pkcs11: {keys: [a]}}", "log-key.pkcs11.module and log-key.pkcs11.token must be set"},
		{"log-key: {pkcs11: {token: a}}", "did you mean to set log-key.pkcs11.keys as well?"},
		{"anchor: {postgres: {url: 'postgres://u@h/d'}}", "did you mean to set anchors: [postgres] as well?"},
		{database + "anchors: [postgres]\nanchor: {postgres: {url: 'postgres://u@h'}}", "in the ledger's database"},
		{"anchors: ['dir:/a', 'dir:/a/']", "twice"},
		{"ledger: {postgres: {url: host=h}}", "did you mean to set ledger.engine: postgres as well?"},
		{"blobs: {s3: {bucket: b}}", "did you mean to set blobs.engine: s3 as well?"},
		{"anchor: {s3: {bucket: b}}", "did you mean to set anchors: [s3] as well?"},
		{database + "anchors: [postgres]", "anchors names only postgres"},
		{database + "anchors: [s3]\nanchor: {s3: {bucket: a, endpoint: 'http://other'}}\nblobs: {s3: {endpoint: 'http://h', access-key: k, secret-key: s}}", "anchor.s3: access-key must be set"},
		{"ledger: {postgres: {url: 'postgres://u:********@h/d'}}", "is masked"},
		{"timestamp: {roots: /r}", "did you mean to set timestamp.authorities: [URL] as well?"},
		{"timestamp: {authorities: ['http://a']}", "timestamp.roots must be"},
		{"checks: {tenants: {01a2070d-4e2f-7d00-87c7-be68003ebf3d: {signature: trusted}}}", "signatures.roots must be set"},
		{"checks: {tenants: {01a2070d-4e2f-7d00-87c7-be68003ebf3d: {signature: some}}}", "signature"},
		{"checks: {tenants: {01a2070d-4e2f-7d00-87c7-be68003ebf3d: {signing-keys: [AB]}}}", "is no fingerprint of a key"},
		{"trillian: {mode: on}", `trillian.mode "on" is not off or embedded or remote`},
		{"trillian: {mode: embedded}", "ledger.engine is not postgres"},
		{"trillian: {mode: remote}", "trillian.address must be set"},
		{"trillian: {address: 'h:1'}", "did you mean to set trillian.mode: embedded, or remote, as well?"},
		{"trillian: {rule: advisory}", "did you mean to set trillian.mode"},
		{database + "trillian: {mode: embedded, address: 'h:1'}", "did you mean trillian.mode: remote?"},
		{database + "trillian: {mode: embedded, ca: /a}", "did you mean trillian.mode: remote?"},
		{"trillian: {mode: remote, address: 'h:1', certificate: /a}", "go together"},
		{"timestamp: {policy: x}", "timestamp.policy is not an object identifier"},
		{"timestamp: {every: 1ms}", "neither 0 nor 1s or more"},
	} {
		if _, err := configOf(t, c.file, []string{"MUNIMENT_DIR=d"}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
	if _, err := configOf(t, "", nil); err == nil || !strings.Contains(err.Error(), "required flag --dir") {
		t.Errorf("without a directory: %v", err)
	}
	if _, err := configOf(t, database+store+"anchors: [s3, postgres]\nanchor: {s3: {bucket: a}}", []string{"MUNIMENT_DIR=d"}); err != nil {
		t.Error(err)
	}
}

// TestSecretsAreMasked: wherever a secret stands, neither what is shown of the settings
// nor an error has it in it.
func TestSecretsAreMasked(t *testing.T) {
	const word = "hunter2"
	for _, u := range []string{
		"postgres://user:%s@host/db", "postgres://user:%s@h1:5432,h2:5432/db?sslmode=disable", "postgresql://:%s@/db?host=/run",
		"postgres://user:1/%s@host/db", "postgres://user:@%s@host/db", "postgres://user:a:%s@host/db", "postgres://user:#%s@host/db",
		"postgres://host/db?password=%s", "postgres://host/db?user=u&p%%61ssword=%s&sslmode=disable", "postgres://host/db?sslpassword=%s",
		"postgres://host/db?password=%%zz%s", "postgres://user:?%s@host/db",
		"host=h password=%s dbname=d", "host=h PASSWORD = %s", "password='a %s' host=h", `password='a\'%s' host=h`, `password=a\ %s host=h`,
		"password='%s", "sslpassword=%s host=h", "host=h dbname=d password=://%s", "host=h password=a://%s",
	} {
		url := fmt.Sprintf(u, word)
		if shown := maskURL(url); strings.Contains(shown, word) {
			t.Errorf("%s is shown as %s", url, shown)
		}
	}
	if got := maskURL("postgres://u:p@h1:5432,h2:5432/d?sslmode=require"); got != "postgres://u:"+mask+"@h1:5432,h2:5432/d?sslmode=require" {
		t.Errorf("more than the password is masked: %s", got)
	}
	secrets := map[string]string{
		"ledger.postgres.url":  "postgres://u:" + word + "@h/d",
		"blobs.s3.secret-key":  word,
		"anchor.s3.secret-key": word,
		"anchor.postgres.url":  "postgres://u:" + word + "@h/d",
		"log-key.pem":          word,
		"log-key.passphrase":   word,
		"log-key.pkcs11.pin":   word,
		"kms.vault.token":      word,
		"oidc.issuers":         "{https://a.example: {audience: m, tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role-claim: r, roles: {x: depositor}, client-id: c, client-secret: " + word + "}}",
		"blobs.s3.tenants":     "{01a2070d-4e2f-7d00-87c7-be68003ebf3d: {bucket: a, access-key: k, secret-key: " + word + "}}",
	}
	for _, s := range newConfig().settings {
		text, ok := secrets[s.name]
		if ok != (s.value.masked != nil) {
			t.Fatalf("%s: whether it is secret is not what this test knows", s.name)
		}
		if !ok {
			continue
		}
		c, err := configOf(t, told(t, s.name, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.printYAML(&out); err != nil {
			t.Fatal(err)
		}
		if err := c.printJSON(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), word) || !strings.Contains(out.String(), mask) {
			t.Errorf("%s is shown:\n%s", s.name, out.String())
		}
		// Errors, too.
		for _, bad := range []string{word + "\x01", "*" + word, "[" + word, "{" + word + ": " + word, "- " + word, "'" + word, "&" + word + " *" + word, "!!int " + word, "!" + word} {
			for _, file := range []string{told(t, s.name, `"x"`), ""} {
				name := s.name
				if file == "" {
					words := strings.Split(name, ".")
					for i, w := range words {
						file += strings.Repeat(" ", i) + w + ":" + map[bool]string{true: " " + bad, false: "\n"}[i == len(words)-1]
					}
				}
				for _, env := range [][]string{nil, {s.env() + "=" + bad}} {
					if _, err := configOf(t, file, env); err != nil && strings.Contains(err.Error(), word) && !strings.Contains(err.Error(), "tenant") {
						t.Errorf("%q %q: %v", file, env, err)
					}
				}
			}
		}
	}
}

// TestOpenConfigIsRefused: a file with a secret in it is for its owner alone, one without
// may be read by all.
func TestOpenConfigIsRefused(t *testing.T) {
	for file, want := range map[string]bool{
		"blobs: {engine: dir, s3: {secret-key: hunter2}}":                       false,
		"ledger: {engine: postgres, postgres: {url: 'postgres://u:hunter2@h'}}": false,
		"ledger: {engine: postgres, postgres: {url: 'postgres://u@h'}}":         true,
		"blobs: {engine: dir, s3: {secret-key: ''}}\nlisten: '127.0.0.1:80'":    true,
	} {
		path := filepath.Join(t.TempDir(), configName)
		if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		c := &cobra.Command{Use: "test"}
		settingFlags(c, onlyDir)
		if err := c.ParseFlags([]string{"--dir", filepath.Dir(path)}); err != nil {
			t.Fatal(err)
		}
		_, err := readConfig(c.Flags(), nil)
		if want != (err == nil) || err != nil && !strings.Contains(err.Error(), "may be read by others; run chmod 600 on it") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestReadmeConfig: the settings in the README are settings.
func TestReadmeConfig(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	under := func(heading string) string {
		_, section, ok := strings.Cut(string(readme), "\n## "+heading+"\n")
		_, rest, shown := strings.Cut(section, "```yaml\n")
		example, _, closed := strings.Cut(rest, "```")
		if !ok || !shown || !closed {
			t.Fatalf("it shows none under %q", heading)
		}
		return example
	}
	tokens, err := configOf(t, under("Tokens instead of keys"), []string{"MUNIMENT_DIR=d"})
	if err != nil || len(tokens.Issuers) != 1 {
		t.Errorf("issuers: %v", err)
	}
	tenants, err := configOf(t, under("Tenants, and who may call"), []string{"MUNIMENT_DIR=d"})
	if err != nil || len(tenants.Checks) != 1 || len(tenants.Limits.Tenants) != 1 || tenants.Limits.Rate == 0 {
		t.Errorf("tenants' rules: %+v, %v", tenants, err)
	}
	certificates, err := configOf(t, under("Certificates"), []string{"MUNIMENT_DIR=d"})
	if err != nil || certificates.Certificate.Key == "" || certificates.Certificate.VerifyURL == "" || len(certificates.Certificate.Tenants) != 1 {
		t.Errorf("certificates: %+v, %v", certificates, err)
	}
	c, err := configOf(t, under("Growing up"), []string{"MUNIMENT_DIR=d", "MUNIMENT_BLOBS_S3_SECRET_KEY=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	s := c.storage(nil, nil)
	if !c.shared() || s.Postgres.URL == "" || s.S3.Retention.Years != 10 || len(s.S3.Tenants) != 1 || len(s.Anchors) != 2 || s.Anchors[0].S3.SecretKey != "hunter2" || s.Anchors[1].Postgres == nil {
		t.Errorf("%+v", s)
	}
	_, rest, _ := strings.Cut(string(readme), "## Trusted time")
	_, rest, _ = strings.Cut(rest, "```\n")
	example, _, closed := strings.Cut(rest, "```")
	if c, err = configOf(t, example, []string{"MUNIMENT_DIR=d"}); err != nil || !closed || len(c.TimestampAuthorities) != 2 || c.TimestampRoots == "" || c.TimestampEvery != time.Hour {
		t.Errorf("the example of trusted time: %v, %+v", err, c)
	}
	for _, b := range s.S3.Tenants {
		if b.Endpoint != "https://s3.example" || b.Region != "cn-north-1" || b.SecretKey != "hunter2" {
			t.Errorf("%+v", b)
		}
	}
}

// TestConfigJSON: the settings as a program reads them.
func TestConfigJSON(t *testing.T) {
	c, err := configOf(t, "anchors: []", []string{"MUNIMENT_DIR=d", "MUNIMENT_MAX_DOCUMENT=7"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.printJSON(&out); err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Value any
		From  origin
	}
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	if got := all["max-document"]; got.Value != 7.0 || got.From != fromEnvironment || len(all) != len(c.settings) {
		t.Errorf("%s", out.String())
	}
}
