package main

import (
	"net/netip"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service"
	"github.com/muniment/muniment/storage/postgres"
	"github.com/muniment/muniment/storage/s3"
	"github.com/muniment/muniment/storage/vault"
)

// config is what the settings say.
type config struct {
	Dir         string
	Listen      string
	MaxDocument int64
	AcceptClock bool
	Canary      time.Duration
	LogFormat   string
	Witness     string

	Ledger   string // engine
	Postgres postgres.Config
	Blobs    string // engine
	S3       s3.Config
	Anchors  []string
	AnchorS3 s3.Bucket
	AnchorPG postgres.Config

	LogKey logKeyConfig
	KMS    kmsConfig

	Trillian trillianConfig

	TimestampAuthorities []string
	TimestampRoots       string
	TimestampEvery       time.Duration
	Retention            notary.Retention
	Limits               service.Limits
	Checks               map[notary.ID]notary.Checks
	Quotas               notary.Quotas
	Issuers              map[string]issuerConfig
	ConsolePages         consoleConfig
	TLS                  tlsConfig
	Language             string
	SM3                  string
	SignatureRoots       string
	TimestampPolicy      string

	WebhookNetworks []netip.Prefix
	Facts           factsConfig
	Certificate     certificateConfig

	settings []setting
	from     map[string]origin // of each setting that is not at its default
}

// A setting is one key of the configuration, under one name: dotted as in the file;
// MUNIMENT_LEDGER_ENGINE in the environment, and --ledger-engine as a flag, are
// ledger.engine.
type setting struct {
	name  string
	value value
	def   string
	help  string
}

// newConfig returns every setting at its default. This table is the only place that
// knows of a setting by its name.
func newConfig() *config {
	c := &config{from: map[string]origin{}}
	c.settings = []setting{
		{"dir", text(&c.Dir), "", "directory of the depository (required)"},
		{"listen", text(&c.Listen), "127.0.0.1:8080", "address to serve HTTP on"},
		{"max-document", number(&c.MaxDocument, 1, 1<<40), "1073741824", "largest document accepted, in bytes"},
		{"accept-clock", boolean(&c.AcceptClock), "false", "start although the clock is over 24 hours past the newest entry"},
		{"canary", interval(&c.Canary), "5m0s", "how often the depository deposits with itself, 1s or more; 0: never"},
		{"log-format", choice(&c.LogFormat, "text", "json"), "text", "text or json, on standard error"},

		{"witness", choice(&c.Witness, "required", "advisory"), "required", "once the policy names witnesses: required publishes nothing without their quorum; advisory publishes, and says so"},

		{"ledger.engine", choice(&c.Ledger, "pebble", "postgres"), "pebble", "what keeps the ledger: pebble, in the directory, or postgres"},
		{"ledger.postgres.url", databaseURL(&c.Postgres.URL), "", "connection URI, or keyword string, of the database"},
		{"ledger.postgres.schema", identifier(&c.Postgres.Schema), "muniment", "schema of the depository's tables"},
		{"ledger.postgres.connections", number(&c.Postgres.Connections, 5, 1000), "16", "most connections that this process opens"},

		{"blobs.engine", choice(&c.Blobs, "dir", "s3"), "dir", "what keeps documents: dir, in the directory, or s3"},
	}
	c.settings = append(c.settings, bucketSettings("blobs.s3.", "of documents", &c.S3.Bucket)...)
	c.settings = append(c.settings,
		setting{"blobs.s3.retention", period(&c.S3.Retention), "", "how long each document is locked against deletion (Object Lock), as in 10y or 3650d; empty: not at all"},
		setting{"blobs.s3.retention-mode", choice(&c.S3.Retention.Mode, "COMPLIANCE", "GOVERNANCE"), "COMPLIANCE", "COMPLIANCE: nobody can lift it; GOVERNANCE: who has the right to can"},
		setting{"blobs.s3.legal-hold", boolean(&c.S3.Retention.LegalHold), "false", "put a legal hold on each document"},
		setting{"blobs.s3.tenants", tenantBuckets(&c.S3.Tenants), "", "buckets of tenants whose documents are kept elsewhere, by tenant id: {ID: {endpoint, region, bucket, prefix, access-key, secret-key}}"},
		setting{"anchors", list(&c.Anchors), "", "registers of the newest sealed head, the first first: dir:PATH, postgres, s3, as in [s3, postgres]; none: the one in the directory"},
	)
	c.settings = append(c.settings, bucketSettings("anchor.s3.", "of the anchor s3; without one of its own the store is that of blobs.s3", &c.AnchorS3)...)
	c.settings = append(c.settings, logKeySettings(&c.LogKey)...)
	c.settings = append(c.settings, kmsSettings(&c.KMS)...)
	c.settings = append(c.settings, tlsSettings(&c.TLS)...)
	c.settings = append(c.settings, factsSettings(&c.Facts)...)
	c.settings = append(c.settings, certificateSettings(&c.Certificate)...)
	c.settings = append(c.settings, consoleSettings(&c.ConsolePages)...)
	c.settings = append(c.settings,
		setting{"anchor.postgres.url", databaseURL(&c.AnchorPG.URL), "", "connection URI, or keyword string, of the database of the anchor postgres; empty: the ledger's"},
		setting{"anchor.postgres.schema", identifier(&c.AnchorPG.Schema), "muniment", "schema of its tables, where anchor.postgres.url is set"},
	)
	c.settings = append(c.settings,
		setting{"timestamp.authorities", list(&c.TimestampAuthorities), "", "URLs of 1 to 4 time-stamp authorities (RFC 3161) that date checkpoints, all asked each time; none: checkpoints are not dated"},
		setting{"timestamp.roots", text(&c.TimestampRoots), "", "PEM file of the root certificates that their time-stamps must lead to; required with timestamp.authorities. Keep the roots of former authorities in it"},
		setting{"webhooks.networks", networks(&c.WebhookNetworks), "", "networks beside the public ones that tenants' webhooks may lead to, as in [10.0.0.0/8]; there http:// is allowed"},
		setting{"timestamp.every", interval(&c.TimestampEvery), "1h0m0s", "how often a new checkpoint is dated, 1s or more; 0: on demand alone (munimentd timestamp)"},
		setting{"checks.tenants", tenantChecks(&c.Checks), "", "rules that tenants have set for what they deposit, by tenant id: {ID: {require: [provenance.system], types: [application/pdf], max-size: 20971520, contract: 'HT-[0-9]+', content: original, signing-keys: [FINGERPRINT], signature: intact}}; what breaks one is refused before anything is kept"},
		setting{"signatures.roots", text(&c.SignatureRoots), "", "PEM file of the authorities by whom certificates of electronic signatures inside deposited PDFs are judged, as records then say; empty: they are not judged"},
		setting{"limits.deposits", number(&c.Limits.Rate, 0, 1_000_000), "0", "deposits a second that each tenant may make at this process, on the average; a line of a batch is one; 0: as many as it likes"},
		setting{"limits.burst", number(&c.Limits.Burst, 1, 10_000_000), "10000", "deposits that a tenant may make at once after a rest, where limits.deposits bounds them"},
		setting{"limits.tenants", tenantRates(&c.Limits.Tenants), "", "limits.deposits of tenants that have another, by tenant id, as in {ID: 500}"},
		setting{"oidc.issuers", issuers(&c.Issuers), "", "OpenID Connect providers whose tokens are believed beside API keys, by issuer URL: {URL: {audience, tenant, or tenant-claim and tenants, role-claim, roles, max-age: 1h, ca, client-id, client-secret, scopes, name}}; with a client-id, people sign in there to the console"},
		setting{"language", choice(&c.Language, "en", "zh"), "en", "language of the people whom the depository serves: en or zh"},
		setting{"sm3", choice(&c.SM3, "", "on", "off"), "", "on: the record of each document that is handed in has its SM3 (GB/T 32905) beside its SHA-256; empty: where language is zh"},
		setting{"quotas.deposits", number(&c.Quotas.Deposits, 0, maxQuota), "0", "deposits that each tenant may make in a calendar month, UTC, at all processes together; 0: as many as it likes"},
		setting{"quotas.bytes", number(&c.Quotas.Bytes, 0, maxQuota), "0", "bytes of documents that each tenant may have kept in a calendar month, UTC; 0: as many as it likes"},
		setting{"quotas.tenants", tenantQuotas(&c.Quotas.Tenants), "", "both of tenants that have others, by tenant id, as in {ID: {deposits: 100000, bytes: 1099511627776}}; what is left out is without a bound"},
		setting{"retention.classes", retention(&c.Retention), "", "how long deposits are kept before they can be erased without an order, by class, as in {default: 10 years, loan: terms.end + 5 years}; a deposit names its class in label.retention"},
		setting{"timestamp.policy", objectID(&c.TimestampPolicy), "", "OID of the rules to ask time-stamps under; empty: each authority's own"},
	)
	c.settings = append(c.settings, trillianSettings(&c.Trillian)...)
	for _, s := range c.settings {
		if err := s.value.set(s.def); err != nil {
			panic(s.name + ": " + err.Error()) // this table is wrong: every test says so
		}
	}
	return c
}

// logKeySettings are those of the log's keys.
func logKeySettings(k *logKeyConfig) []setting {
	return []setting{
		{"log-key.pem", secretLines(&k.PEM), "", "the log's key itself, PKCS#8 in PEM, in a rotation both; for the environment; empty: DIR/keys/log.pem"},
		{"log-key.passphrase", secret(&k.Passphrase), "", "passphrase of encrypted keys; for the environment"},
		{"log-key.passphrase-file", text(&k.PassphraseFile), "", "file that holds it in its first line"},
		{"log-key.pkcs11.module", text(&k.Token.Module), "", "library of a PKCS#11 token that keeps the log's key, a path"},
		{"log-key.pkcs11.token", text(&k.Token.Label), "", "label of the token"},
		{"log-key.pkcs11.keys", list(&k.Token.Keys), "", "labels of the log's Ed25519 keys on it, in a rotation both; none: no token is used"},
		{"log-key.pkcs11.pin", secret(&k.Token.PIN), "", "PIN of the token; for the environment"},
	}
}

// kmsConfig says what keeps tenants' key files shut.
type kmsConfig struct {
	Engine string
	Hold   time.Duration
	Vault  vault.Config
}

func kmsSettings(k *kmsConfig) []setting {
	return []setting{
		{"kms.engine", choice(&k.Engine, "file", "vault"), "file", "what keeps the key files of tenants shut: file, their mode alone; vault, a key of the Transit engine of HashiCorp Vault or OpenBao"},
		{"kms.hold", interval(&k.Hold), "1h0m0s", "for how long a tenant's key that the KMS has unwrapped is held in memory before it is asked again; 0: until the process ends"},
		{"kms.vault.address", endpoint(&k.Vault.Address), "", "URL of the Vault or OpenBao server"},
		{"kms.vault.mount", text(&k.Vault.Mount), "transit", "path of its Transit engine"},
		{"kms.vault.key", text(&k.Vault.Key), "", "name of the key there, of type aes256-gcm96"},
		{"kms.vault.namespace", text(&k.Vault.Namespace), "", "namespace on the server; empty: none"},
		{"kms.vault.token", secret(&k.Vault.Token), "", "token that may encrypt and decrypt with the key; for the environment"},
		{"kms.vault.token-file", text(&k.Vault.TokenFile), "", "file that holds the token, as an agent renews it: read for each call, and comes before kms.vault.token"},
		{"kms.vault.ca", text(&k.Vault.CA), "", "PEM file of the roots that the server's certificate must lead to; empty: the machine's"},
	}
}

// trillianConfig says who gives a second opinion of each root before it is signed.
type trillianConfig struct {
	Mode, Rule           string
	Address              string
	CA, Certificate, Key string // files
}

func trillianSettings(t *trillianConfig) []setting {
	return []setting{
		{"trillian.mode", choice(&t.Mode, "off", "embedded", "remote"), "off", "the second opinion: embedded, Trillian in this process, beside the ledger in its database; remote, a Trillian of someone else's over gRPC; off: none"},
		{"trillian.rule", choice(&t.Rule, "required", "advisory"), "required", "required signs nothing whose root the second tree does not confirm; advisory raises alarms, and waits for nothing"},
		{"trillian.address", text(&t.Address), "", "host:port of the remote Trillian log server, over TLS"},
		{"trillian.ca", text(&t.CA), "", "PEM file of the roots that its certificate must lead to; empty: the machine's"},
		{"trillian.certificate", text(&t.Certificate), "", "PEM file of our certificate for it; empty: none is shown"},
		{"trillian.key", text(&t.Key), "", "PEM file of that certificate's key"},
	}
}

// bucketSettings are those of one bucket.
func bucketSettings(prefix, whose string, b *s3.Bucket) []setting {
	return []setting{
		{prefix + "endpoint", endpoint(&b.Endpoint), "", "URL of the object store " + whose},
		{prefix + "region", text(&b.Region), "", "its region; empty: us-east-1"},
		{prefix + "bucket", text(&b.Bucket), "", "the bucket"},
		{prefix + "prefix", folder(&b.Prefix), "", "beginning of all names in it; it ends in /"},
		{prefix + "access-key", text(&b.AccessKey), "", "who asks"},
		{prefix + "secret-key", secret(&b.SecretKey), "", "the secret of access-key; a flag is seen by all users of the machine, the environment and a file are not"},
	}
}

// tenantBuckets are settings within a setting: each tenant's own bucket.
func tenantBuckets(p *map[notary.ID]s3.Bucket) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseTenants(text); return err },
		get: func() any { return showTenants(*p, false) },
		masked: func() any {
			return showTenants(*p, true)
		},
	}
}
