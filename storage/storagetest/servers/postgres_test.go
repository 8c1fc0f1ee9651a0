package servers_test

import (
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestPostgres: what is committed outlives a crash, a synchronous standby has it, and
// serves it once promoted.
func TestPostgres(t *testing.T) {
	p, err := servers.StartPostgres(filepath.Join(t.TempDir(), "primary"), servers.PostgresOptions{
		Settings: map[string]string{"max_connections": "17", "cluster_name": "the court's"},
	})
	must(t, err)
	t.Cleanup(p.Close)
	run(t, p.URL(), "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)", "GRANT ALL ON kept TO app")
	holds(t, p.URL(), "17 the court's on", "SELECT concat_ws(' ', current_setting('max_connections'), current_setting('cluster_name'), current_setting('fsync'))")

	must(t, p.Stop("immediate"))
	if err := p.Stop("fast"); err == nil {
		t.Error("a stopped server was stopped")
	}
	must(t, p.Start())
	holds(t, p.AppURL(), "1", "SELECT max(n)::text FROM kept")

	s, err := p.Standby(filepath.Join(t.TempDir(), "standby"))
	must(t, err)
	t.Cleanup(s.Close)
	run(t, p.AppURL(), "INSERT INTO kept VALUES (2)")
	must(t, p.Stop("immediate"))
	must(t, s.Promote())
	holds(t, s.AppURL(), "2", "SELECT max(n)::text FROM kept")
	run(t, s.AppURL(), "INSERT INTO kept VALUES (3)")
	must(t, s.Stop("fast"))
}

func run(t *testing.T, url string, statements ...string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer c.Close(t.Context())
	for _, s := range statements {
		_, err := c.Exec(t.Context(), s)
		must(t, err)
	}
}

func holds(t *testing.T, url, want, question string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer c.Close(t.Context())
	var got string
	must(t, c.QueryRow(t.Context(), question).Scan(&got))
	if got != want {
		t.Errorf("%s: %q, want %q", question, got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
