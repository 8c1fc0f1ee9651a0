// Package servers starts the real PostgreSQL and S3 servers, and the witness that is
// not ours, that tests, the demonstration and the bench run against.
package servers
