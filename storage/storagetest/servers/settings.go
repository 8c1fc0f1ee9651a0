package servers

import "errors"

// Settings makes buckets of that name for one depository, or several, and returns the
// environment in which munimentd keeps all of it there and in the cluster, but for keys
// and policy. Documents are locked for ten years, as they would be for good.
func Settings(p *Postgres, s *S3, name string) ([]string, error) {
	anchor := name + "-anchor"
	return []string{
		"MUNIMENT_LEDGER_ENGINE=postgres",
		"MUNIMENT_LEDGER_POSTGRES_URL=" + p.URL(),
		"MUNIMENT_LEDGER_POSTGRES_CONNECTIONS=8",
		"MUNIMENT_BLOBS_ENGINE=s3",
		"MUNIMENT_BLOBS_S3_ENDPOINT=" + s.Endpoint,
		"MUNIMENT_BLOBS_S3_BUCKET=" + name,
		"MUNIMENT_BLOBS_S3_ACCESS_KEY=" + s.AccessKey,
		"MUNIMENT_BLOBS_S3_SECRET_KEY=" + s.SecretKey,
		"MUNIMENT_BLOBS_S3_RETENTION=10y",
		"MUNIMENT_ANCHORS=[s3, postgres]",
		"MUNIMENT_ANCHOR_S3_BUCKET=" + anchor,
	}, errors.Join(s.MakeBucket(name, true), s.MakeBucket(anchor, false))
}
