package main

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

func configCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "config --dir DIR",
		Short: "Show the settings that are in effect, and where each comes from",
		Long: `Show every setting as YAML that can be the file, with secrets masked. Each line says
where its value comes from.

A setting has one name: ledger.engine stands in the file as engine under ledger, in
the environment as MUNIMENT_LEDGER_ENGINE, and is the flag --ledger-engine. The
environment wins over the file, and a flag over both. The file is the one that
--config or MUNIMENT_CONFIG names, or else DIR/munimentd.yaml, if there is one.
Every command takes the same settings.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if asJSON {
				return cfg.printJSON(c.OutOrStdout())
			}
			return cfg.printYAML(c.OutOrStdout())
		},
	}
	settingFlags(c, func(string) bool { return true })
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (c *config) origin(s setting) origin {
	if from, ok := c.from[s.name]; ok {
		return from
	}
	return fromDefault
}

func (c *config) printJSON(w io.Writer) error {
	type shown struct {
		Value any    `json:"value"`
		From  origin `json:"from"`
	}
	all := map[string]shown{}
	for _, s := range c.settings {
		all[s.name] = shown{s.show(true), c.origin(s)}
	}
	return json.NewEncoder(w).Encode(all)
}

func (c *config) printYAML(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range c.settings {
		var v yaml.Node
		if err := v.Encode(s.show(true)); err != nil {
			return err
		}
		flow(&v)
		v.LineComment = string(c.origin(s))
		put(root, s.name, &v)
	}
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	if err := out.Encode(root); err != nil {
		return err
	}
	return out.Close()
}

// flow puts a list or map on one line, so that its origin stands beside it.
func flow(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, child := range n.Content {
		flow(child)
	}
}

// put places a value under its dotted name.
func put(n *yaml.Node, name string, v *yaml.Node) {
	first, rest, nested := strings.Cut(name, ".")
	if !nested {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: first}, v)
		return
	}
	if at := len(n.Content) - 2; at < 0 || n.Content[at].Value != first {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: first}, &yaml.Node{Kind: yaml.MappingNode})
	}
	put(n.Content[len(n.Content)-1], rest, v)
}
