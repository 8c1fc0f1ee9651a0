package main

import (
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
)

// maxTenantRate is more than any depository takes.
const maxTenantRate = 1_000_000

// tenantRates is a setting of numbers by tenant.
func tenantRates(p *map[notary.ID]int) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseTenantRates(text); return err },
		get: func() any {
			words := map[string]int{}
			for id, n := range *p {
				words[id.String()] = n
			}
			return words
		},
	}
}

func parseTenantRates(text string) (map[notary.ID]int, error) {
	root, err := parseYAML([]byte(text))
	if err != nil || root == nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("is not a map, as in {TENANT-ID: 500}")
	}
	all := map[notary.ID]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name := root.Content[i].Value
		id, err := notary.ParseID(name)
		if err != nil {
			return nil, fmt.Errorf("names the tenant %q: that is no tenant id", name)
		}
		if _, twice := all[id]; twice {
			return nil, fmt.Errorf("names the tenant %s twice", name)
		}
		n, err := strconv.Atoi(root.Content[i+1].Value)
		if err != nil || n < 0 || n > maxTenantRate {
			return nil, fmt.Errorf("of %s: is not a number of 0 to %d", name, maxTenantRate)
		}
		all[id] = n
	}
	return all, nil
}
