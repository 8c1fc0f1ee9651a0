package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/spf13/cobra"
)

// emptyAnswer is about as long as a receipt.
const emptyAnswer = 1500

// emptyCommand is the yardstick: a server that does nothing, in a process of its own.
func emptyCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "empty-handler",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), l.Addr())
			s := &http.Server{Handler: emptyHandler(), ReadHeaderTimeout: time.Minute}
			return s.Serve(l)
		},
	}
}

// emptyHandler reads each request and answers it with bytes that it has at hand.
func emptyHandler() http.Handler {
	body := bytes.Repeat([]byte("x"), emptyAnswer)
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "/v1/deposits/00000000-0000-7000-8000-000000000000")
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
	}
	r := chi.NewRouter()
	r.Post("/v1/deposits", answer(http.StatusCreated))
	r.Post("/v1/deposits:batch", answer(http.StatusCreated))
	r.Get("/v1/deposits/{id}/receipt", answer(http.StatusOK))
	return r
}

// startHandler starts the empty handler in a process of its own, and returns what drives it,
// and what ends it. Its answers are no receipts: they are counted and thrown away.
func startHandler(w *workload, on cores) (drain *driver, end func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, "empty-handler")
	cmd.Args[0] = os.Args[0]
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := startOn(cmd, on); err != nil {
		return nil, nil, err
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		return nil, nil, err
	}
	blank := &workload{loans: w.loans, host: w.host, key: w.key, run: w.run, lines: w.lines, whole: w.whole, size: w.size, known: [][16]byte{{}}}
	return &driver{workload: blank, addrs: []string{strings.TrimSpace(line)}, observe: func() sample {
		u, err := usageOf(cmd.Process.Pid)
		if err != nil {
			return sample{}
		}
		return sample{server: u}
	}}, end, nil
}

// measureHandler drives the empty handler with the requests and the number of
// connections of the load.
func (b *baselines) measureHandler(ctx context.Context, w *workload, m mix, clients int, d time.Duration) error {
	drain, end, err := startHandler(w, nil)
	if err != nil {
		return err
	}
	defer end()
	got, err := drain.drive(ctx, load{mix: m, clients: clients, warmup: d / 4, duration: d, step: d})
	if err != nil {
		return err
	}
	all := got.total()
	b.Handler = float64(all.requests) / got.elapsed.Seconds()
	b.HandlerP99 = float64(all.latency.ValueAtQuantile(99)) / 1000
	b.HandlerCPU = perUnit(got.after.server.cpu-got.before.server.cpu, all.requests)
	return nil
}
