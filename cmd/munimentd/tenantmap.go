package main

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
)

// parseByTenant reads a map from tenant ids to what read makes of each. example is what one
// looks like.
func parseByTenant[T any](text, example string, read func(*yaml.Node) (T, error)) (map[notary.ID]T, error) {
	all := map[notary.ID]T{}
	root, err := parseYAML([]byte(text))
	if err != nil || root == nil {
		return all, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("is not a map, as in " + example)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name := root.Content[i].Value
		id, err := notary.ParseID(name)
		if err != nil {
			return nil, fmt.Errorf("names the tenant %q: that is no tenant id", name)
		}
		if _, twice := all[id]; twice {
			return nil, fmt.Errorf("names the tenant %s twice", name)
		}
		if all[id], err = read(root.Content[i+1]); err != nil {
			return nil, fmt.Errorf("of %s: %w", name, err)
		}
	}
	return all, nil
}

// setFrom sets settings within a setting from a map of them.
func setFrom(n *yaml.Node, settings []setting) error {
	told, err := flatten(n, settings)
	if err != nil {
		return err
	}
	for _, s := range settings {
		if text, ok := told[s.name]; ok {
			if err := s.value.set(text); err != nil {
				return fmt.Errorf("%s %w", s.name, err)
			}
		}
	}
	return nil
}
