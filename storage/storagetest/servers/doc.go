// Package servers starts the real PostgreSQL and S3 servers that tests, the
// demonstration and the bench run against.
package servers
