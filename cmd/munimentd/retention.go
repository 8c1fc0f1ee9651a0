package main

import (
	"errors"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
)

// className is what a class of retention may be called, since a deposit names it in a label.
var className = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,40}$`)

// retention is a setting of classes and their terms.
func retention(p *notary.Retention) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseRetention(text); return err },
		get: func() any {
			words := map[string]string{}
			for class, term := range *p {
				words[class] = term.String()
			}
			return words
		},
	}
}

func parseRetention(text string) (notary.Retention, error) {
	root, err := parseYAML([]byte(text))
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("is not a map, as in {default: 10 years, loan: terms.end + 5 years}")
	}
	all := notary.Retention{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		class := root.Content[i].Value
		if !className.MatchString(class) {
			return nil, fmt.Errorf("names the class %q: a class has lower-case letters, digits, _ and -", class)
		}
		if _, twice := all[class]; twice {
			return nil, fmt.Errorf("names the class %s twice", class)
		}
		if all[class], err = notary.ParseRetention(root.Content[i+1].Value); err != nil {
			return nil, fmt.Errorf("of %s: %w", class, err)
		}
	}
	return all, nil
}
