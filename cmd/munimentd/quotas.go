package main

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
)

// maxQuota is more than any depository keeps, in deposits or bytes.
const maxQuota = 1 << 60

// quotaSettings are what can be said of one tenant's quota: settings within a setting.
func quotaSettings(q *notary.Quota) []setting {
	return []setting{
		{"deposits", number(&q.Deposits, 0, maxQuota), "0", ""},
		{"bytes", number(&q.Bytes, 0, maxQuota), "0", ""},
	}
}

// tenantQuotas are the quotas of tenants that have their own.
func tenantQuotas(p *map[notary.ID]notary.Quota) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseQuotas(text); return err },
		get: func() any {
			out := map[string]map[string]any{}
			for id, q := range *p {
				out[id.String()] = map[string]any{"deposits": q.Deposits, "bytes": q.Bytes}
			}
			return out
		},
	}
}

func parseQuotas(text string) (map[notary.ID]notary.Quota, error) {
	root, err := parseYAML([]byte(text))
	if err != nil || root == nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("is not a map, as in {TENANT-ID: {deposits: 100000}}")
	}
	all := map[notary.ID]notary.Quota{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name := root.Content[i].Value
		id, err := notary.ParseID(name)
		if err != nil {
			return nil, fmt.Errorf("names the tenant %q: that is no tenant id", name)
		}
		if _, twice := all[id]; twice {
			return nil, fmt.Errorf("names the tenant %s twice", name)
		}
		var q notary.Quota
		told, err := flatten(root.Content[i+1], quotaSettings(&q))
		if err != nil {
			return nil, fmt.Errorf("of %s: %w", name, err)
		}
		for _, s := range quotaSettings(&q) {
			if text, ok := told[s.name]; ok {
				if err := s.value.set(text); err != nil {
					return nil, fmt.Errorf("of %s: %s %w", name, s.name, err)
				}
			}
		}
		all[id] = q
	}
	return all, nil
}
