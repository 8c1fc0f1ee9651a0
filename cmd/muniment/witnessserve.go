package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary/witness"
	"github.com/muniment/muniment/proofs"
)

// exitStopped is the code of a witness that ended since going on might have contradicted
// what it has signed.
const exitStopped = 3

// witnessGrace bounds a stop.
const witnessGrace = 5 * time.Second

func witnessServeCommand(lang proofs.Language) *cobra.Command {
	o := witnessOptions{lang: lang}
	var listen string
	var logs []string
	c := o.command("serve --dir FOLDER --log VKEY|FILE…", sayWitnessServeShort, sayWitnessServeLong, func(c *cobra.Command) error {
		keys, err := logKeys(logs)
		if err != nil {
			return err
		}
		return o.serve(c, listen, keys)
	})
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:7380", sayFlagListen.in(lang))
	c.Flags().StringArrayVar(&logs, "log", nil, sayFlagWitnessLog.in(lang))
	completes(c, "listen")
	return c
}

func (o *witnessOptions) serve(c *cobra.Command, listen string, logs []proofs.VerifierKey) error {
	s := newScreen(c, o.lang, false)
	keys, err := witness.LoadKeys(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return sayNoWitness.err(o.dir)
	}
	if err != nil {
		return o.fault(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server, err := witness.OpenServer(witness.ServerConfig{
		Dir: o.dir, Keys: keys, Logs: logs, Metrics: registry,
		Logger: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)),
	})
	if err != nil {
		return o.fault(err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	origins := map[string]bool{}
	for _, k := range logs {
		origins[k.Name] = true
	}
	err = s.line(sayWitnessServes, keys[0].Name, len(origins), listener.Addr().String())
	err = errors.Join(err, server.Serve(c.Context(), listener, witnessGrace))
	if closed := server.Close(); err == nil {
		err = closed
	}
	select {
	case <-server.Failed():
		s.aside("muniment: " + sayWitnessStopped.in(o.lang, server.Err()))
		return exitError(exitStopped)
	default:
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// fault says why a witness does not start.
func (o *witnessOptions) fault(err error) error {
	switch {
	case errors.Is(err, witness.ErrTaken):
		return sayWitnessTaken.err(o.dir)
	case errors.Is(err, witness.ErrState):
		return sayWitnessState.err(err)
	case errors.Is(err, witness.ErrExposed):
		return sayWitnessExposed.err(o.dir)
	case errors.Is(err, fs.ErrNotExist):
		return sayWitnessStateLost.err(o.dir)
	}
	return err
}

// logKeys reads what --log says: vkeys, and files of them.
func logKeys(values []string) ([]proofs.VerifierKey, error) {
	if len(values) == 0 {
		return nil, sayWhichLogs.err()
	}
	var keys []proofs.VerifierKey
	for _, v := range values {
		if k, err := proofs.ParseVerifierKey(v); err == nil {
			keys = append(keys, k)
			continue
		}
		data, err := readBounded(v, maxPolicy)
		if err != nil {
			return nil, err
		}
		more, err := logsIn(v, string(data))
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// logsIn reads a policy's log lines, or lines of one vkey each. What else a policy says
// is for those who verify.
func logsIn(path, text string) ([]proofs.VerifierKey, error) {
	var keys []proofs.VerifierKey
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
			continue
		case words[0] == "witness" || words[0] == "group" || words[0] == "quorum":
			continue
		case words[0] == "log" && len(words) > 1:
			words = words[1:]
		}
		k, err := proofs.ParseVerifierKey(words[0])
		if err != nil {
			return nil, sayNoLogKey.err(path, number, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, sayNoLogs.err(path)
	}
	return keys, nil
}
