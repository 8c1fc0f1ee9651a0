// Package api holds the types and the routing that openapi.yaml, the source of
// truth, generates. Nothing here is written by hand but this file.
package api

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config config.yaml ../../openapi.yaml
