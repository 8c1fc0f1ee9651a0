package main

import (
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
	return parseByTenant(text, "{TENANT-ID: 500}", func(v *yaml.Node) (int, error) {
		n, err := strconv.Atoi(v.Value)
		if err != nil || n < 0 || n > maxTenantRate {
			return 0, fmt.Errorf("is not a number of 0 to %d", maxTenantRate)
		}
		return n, nil
	})
}
