package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Settings come from one YAML file, the environment and the flags. The environment wins
// over the file, so that secrets need not stand in it, and flags win over both.

type origin string

const (
	fromDefault     origin = "default"
	fromFile        origin = "file"
	fromEnvironment origin = "environment"
	fromFlag        origin = "flag"
)

const (
	configName = "munimentd.yaml" // in the directory, unless another is named
	configEnv  = "MUNIMENT_CONFIG"
	envPrefix  = "MUNIMENT_"
	maxConfig  = 1 << 20
)

// foreign are variables that others read: the client, and the tests of this module.
var foreign = []string{"MUNIMENT_SERVER", "MUNIMENT_API_KEY", "MUNIMENT_TENANT", "MUNIMENT_LINK", "MUNIMENT_TSA_ROOTS", "MUNIMENT_TORTURE", "MUNIMENT_SEED"}

// ofKubernetes are the variables that a Service whose name begins with muniment puts into
// every container beside it.
var ofKubernetes = regexp.MustCompile(`^MUNIMENT(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.name))
}

func (s setting) flag() string { return strings.ReplaceAll(s.name, ".", "-") }

// rawFlag keeps a flag's words until it is known what they override.
type rawFlag struct{ kind, text string }

func (f *rawFlag) Set(text string) error { f.text = text; return nil }
func (f *rawFlag) String() string        { return f.text }
func (f *rawFlag) Type() string          { return f.kind }

// settingFlags gives a command the settings, which are the same for all. Its help lists
// only those that shown picks.
func settingFlags(c *cobra.Command, shown func(name string) bool) {
	c.Args = cobra.NoArgs
	c.Flags().SortFlags = false
	c.Flags().String("config", "", "file with the settings ($"+configEnv+"; default DIR/"+configName+", if there is one)")
	for _, s := range newConfig().settings {
		f := c.Flags().VarPF(&rawFlag{s.value.kind, s.def}, s.flag(), "", s.help)
		if f.Hidden = s.name != "dir" && !shown(s.name); s.value.kind == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

func onlyDir(string) bool { return false }

// loadConfig is how every command learns its settings.
func loadConfig(c *cobra.Command) (*config, error) { return readConfig(c.Flags(), os.Environ()) }

func readConfig(flags *pflag.FlagSet, environ []string) (*config, error) {
	c := newConfig()
	env, err := c.environment(environ)
	if err != nil {
		return nil, err
	}
	path, required := c.file(flags, env)
	told, err := c.readFile(path, required)
	if err != nil {
		return nil, err
	}
	for _, s := range c.settings {
		if text, ok := told[s.name]; ok {
			err = errors.Join(err, c.take(s, fromFile, path+": "+s.name, text))
		}
		if text, ok := env[s.env()]; ok {
			err = errors.Join(err, c.take(s, fromEnvironment, s.env(), text))
		}
		if f := flags.Lookup(s.flag()); f != nil && f.Changed {
			err = errors.Join(err, c.take(s, fromFlag, "--"+s.flag(), f.Value.String()))
		}
		if err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

// take sets a setting. One that is wrong is wrong even where another source overrides it.
func (c *config) take(s setting, from origin, where, text string) error {
	if err := s.value.set(text); err != nil {
		return fmt.Errorf("%s %w", where, err)
	}
	c.from[s.name] = from
	return nil
}

// environment picks the variables that are settings.
func (c *config) environment(environ []string) (map[string]string, error) {
	known := []string{configEnv}
	for _, s := range c.settings {
		known = append(known, s.env())
	}
	env := map[string]string{}
	for _, line := range environ {
		name, text, _ := strings.Cut(line, "=")
		switch {
		case !strings.HasPrefix(name, envPrefix), slices.Contains(foreign, name), ofKubernetes.MatchString(name):
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("environment: there is no setting %q; did you mean %s?", name, nearest(name, known))
		default:
			env[name] = text
		}
	}
	return env, nil
}

// file says which file to read, and whether it must be there.
func (c *config) file(flags *pflag.FlagSet, env map[string]string) (path string, required bool) {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), true
	}
	if path := env[configEnv]; path != "" {
		return path, true
	}
	dir := env[envPrefix+"DIR"]
	if f := flags.Lookup("dir"); f != nil && f.Changed {
		dir = f.Value.String()
	}
	if dir == "" {
		return "", false
	}
	return filepath.Join(dir, configName), false
}

// readFile returns the text of each setting in the file.
func (c *config) readFile(path string, required bool) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !required {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxConfig {
		return nil, fmt.Errorf("%s has more than %d bytes: it is no configuration", path, maxConfig)
	}
	root, err := parseYAML(data)
	if err != nil || root == nil {
		return nil, wrap(path, err)
	}
	told, err := flatten(root, c.settings)
	if err != nil {
		return nil, wrap(path, err)
	}
	if c.holdsSecret(told) {
		if err := private(path); err != nil {
			return nil, fmt.Errorf("%w: it holds a secret", err)
		}
	}
	return told, nil
}

func wrap(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// holdsSecret reports whether something in the file would be masked.
func (c *config) holdsSecret(told map[string]string) bool {
	for _, s := range newConfig().settings {
		if text, ok := told[s.name]; ok && s.value.set(text) == nil && !reflect.DeepEqual(s.show(true), s.show(false)) {
			return true
		}
	}
	return false
}

var yamlLine = regexp.MustCompile(`line \d+`)

// parseYAML returns the one document in data, nil if it is empty. The parser's own words
// may hold a piece of a secret: only its line is told.
func parseYAML(data []byte) (*yaml.Node, error) {
	in := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := in.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		where := yamlLine.FindString(err.Error())
		return nil, fmt.Errorf("it is not YAML%s", strings.TrimRight(", "+where, ", "))
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

// flatten returns the text of each setting under a node by its dotted name.
func flatten(root *yaml.Node, settings []setting) (map[string]string, error) {
	told := map[string]string{}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: this is not a map of settings", root.Line)
	}
	return told, flattenInto(told, "", root, settings)
}

func flattenInto(told map[string]string, prefix string, n *yaml.Node, settings []setting) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := prefix+n.Content[i].Value, n.Content[i+1]
		at := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
		section := slices.ContainsFunc(settings, func(s setting) bool { return strings.HasPrefix(s.name, name+".") })
		var err error
		switch _, twice := told[name]; {
		case twice:
			err = fmt.Errorf("line %d: %s stands here a second time", v.Line, name)
		case at >= 0:
			told[name], err = nodeText(name, v, settings[at].value)
		case v.Kind == yaml.MappingNode && len(v.Content) > 0 || section && v.Tag == "!!null":
			err = flattenInto(told, name+".", v, settings)
		default:
			err = fmt.Errorf("line %d: there is no setting %q; did you mean %s?", n.Content[i].Line, name, nearest(name, within(name, settings)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within returns the names of the settings under a section, or of all where it is none.
func within(section string, settings []setting) []string {
	var all, under []string
	for _, s := range settings {
		all = append(all, s.name)
		if strings.HasPrefix(s.name, section+".") {
			under = append(under, s.name)
		}
	}
	if under != nil {
		return under
	}
	return all
}

// nodeText is a setting's value as text: as it is written, or as YAML again.
func nodeText(name string, n *yaml.Node, v value) (string, error) {
	switch {
	case v.structured:
		data, err := yaml.Marshal(n)
		return string(data), err
	case n.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("line %d: %s is one value, not a list, map or alias", n.Line, name)
	case n.Tag == "!!null":
		return "", fmt.Errorf("line %d: %s has no value; \"\" is the empty one", n.Line, name)
	}
	return n.Value, nil
}

// nearest returns the known name that takes the fewest edits to come to.
func nearest(name string, known []string) string {
	best, least := "", 0
	for _, k := range known {
		if d := edits(strings.ToLower(name), strings.ToLower(k)); best == "" || d < least {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance between two names, of which only the beginnings count.
func edits(a, b string) int {
	const most = 100
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// nearestFlag adds to the refusal of a flag the name of the one that was meant.
func nearestFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if len(known) == 0 {
		return err
	}
	return fmt.Errorf("%w; did you mean --%s?", err, nearest(unknown.GetSpecifiedName(), known))
}
