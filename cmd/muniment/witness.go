package main

import (
	"errors"
	"io/fs"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary/witness"
	"github.com/muniment/muniment/proofs"
)

func witnessCommand(lang proofs.Language) *cobra.Command {
	c := &cobra.Command{Use: "witness", Short: sayWitnessShort.in(lang), Long: sayWitnessLong.in(lang), Example: sayWitnessExample.in(lang)}
	family(c)
	c.AddCommand(witnessInitCommand(lang), witnessKeyCommand(lang), witnessServeCommand(lang))
	return c
}

// witnessOptions are what the commands of a witness have in common.
type witnessOptions struct {
	lang proofs.Language
	dir  string
	url  string
	json bool
}

func (o *witnessOptions) command(use string, short, long phrase, run func(*cobra.Command) error) *cobra.Command {
	c := &cobra.Command{
		Use:               use,
		Short:             short.in(o.lang),
		Long:              long.in(o.lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.dir == "" {
				return sayWhichWitness.err()
			}
			return run(c)
		},
	}
	c.Flags().StringVar(&o.dir, "dir", "", sayFlagWitnessDir.in(o.lang))
	return c
}

func witnessInitCommand(lang proofs.Language) *cobra.Command {
	o := witnessOptions{lang: lang}
	var name string
	var classic bool
	c := o.command("init --dir FOLDER --name NAME", sayWitnessInitShort, sayWitnessInitLong, func(c *cobra.Command) error {
		if name == "" {
			return sayWhichName.err()
		}
		if err := o.checkURL(); err != nil {
			return err
		}
		keys, err := witness.Init(o.dir, name, !classic)
		switch {
		case errors.Is(err, fs.ErrExist):
			return sayWitnessDirTaken.err(o.dir)
		case errors.Is(err, proofs.ErrMalformed) || errors.Is(err, witness.ErrName):
			return sayWitnessName.err(name)
		case err != nil:
			return err
		}
		return o.print(c, keys)
	})
	c.Flags().StringVar(&name, "name", "", sayFlagWitnessName.in(lang))
	c.Flags().BoolVar(&classic, "ed25519-only", false, sayFlagClassic.in(lang))
	o.printFlags(c)
	return c
}

func witnessKeyCommand(lang proofs.Language) *cobra.Command {
	o := witnessOptions{lang: lang}
	c := o.command("key --dir FOLDER", sayWitnessKeyShort, sayWitnessKeyLong, func(c *cobra.Command) error {
		if err := o.checkURL(); err != nil {
			return err
		}
		keys, err := witness.VerifierKeys(o.dir)
		if errors.Is(err, fs.ErrNotExist) {
			return sayNoWitness.err(o.dir)
		}
		if err != nil {
			return err
		}
		return o.print(c, keys)
	})
	o.printFlags(c)
	return c
}

func (o *witnessOptions) printFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.url, "url", "", sayFlagWitnessURL.in(o.lang))
	c.Flags().BoolVar(&o.json, "json", false, sayFlagJSON.in(o.lang))
}

// checkURL refuses what would not be one word of a policy's line.
func (o *witnessOptions) checkURL() error {
	u, err := url.Parse(o.url)
	if o.url != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(o.url, " \t")) {
		return sayWitnessURL.err(o.url)
	}
	return nil
}

// algorithms are what people call the types of a witness's keys, and JSON likewise.
var algorithms = map[byte]string{proofs.TypeEd25519Cosigner: "Ed25519", proofs.TypeMLDSA44Cosigner: "ML-DSA-44"}

func (o *witnessOptions) print(c *cobra.Command, keys []proofs.VerifierKey) error {
	s := newScreen(c, o.lang, o.json)
	type key struct {
		Type string `json:"type"`
		Vkey string `json:"vkey"`
	}
	var out []key
	for _, k := range keys {
		out = append(out, key{algorithms[k.Type], k.String()})
	}
	lines := policyLines(keys, o.url)
	if o.json {
		return s.object(struct {
			Name   string `json:"name"`
			Keys   []key  `json:"keys"`
			Policy string `json:"policy"`
		}{keys[0].Name, out, lines})
	}
	err := s.line(sayWitnessNamed, keys[0].Name)
	for _, k := range out {
		err = errors.Join(err, s.line(sayWitnessKey, pad(k.Type, 9), k.Vkey))
	}
	return errors.Join(err, s.line(sayWitnessLines), s.bytes([]byte(lines)))
}

// policyLines name a witness in a policy. Its two keys are joined so that they count
// once; a quorum or a group then names the last line's name.
func policyLines(keys []proofs.VerifierKey, url string) string {
	name := keys[0].Name
	var b strings.Builder
	line := func(words ...string) { b.WriteString(strings.TrimSpace(strings.Join(words, " ")) + "\n") }
	if len(keys) == 1 {
		line("witness", name, keys[0].String(), url)
		return b.String()
	}
	var members []string
	for _, k := range keys {
		member := name + "/" + strings.ToLower(algorithms[k.Type])
		line("witness", member, k.String(), url)
		members = append(members, member)
	}
	line(append([]string{"group", name, "any"}, members...)...)
	return b.String()
}
