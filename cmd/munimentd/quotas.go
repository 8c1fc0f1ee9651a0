package main

import (
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
	return parseByTenant(text, "{TENANT-ID: {deposits: 100000}}", func(v *yaml.Node) (q notary.Quota, err error) {
		err = setFrom(v, quotaSettings(&q))
		return q, err
	})
}
