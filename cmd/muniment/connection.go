package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/service/client"
)

// connection is how a depository is reached.
type connection struct {
	server, apiKey string
}

func (n *connection) flags(c *cobra.Command, key bool) {
	c.Flags().StringVar(&n.server, "server", "", "address of the depository (default $MUNIMENT_SERVER)")
	if key {
		c.Flags().StringVar(&n.apiKey, "api-key", "", "API key (default $MUNIMENT_API_KEY, which other users of the machine cannot see)")
	}
}

// client returns the client of that depository. What is worth knowing goes to notes.
func (n *connection) client(c *cobra.Command, notes io.Writer) (*client.Client, error) {
	if n.server == "" {
		n.server = os.Getenv("MUNIMENT_SERVER")
	}
	if n.server == "" {
		return nil, errors.New("which depository? Give --server URL or set MUNIMENT_SERVER")
	}
	if c.Flags().Lookup("api-key") != nil {
		if n.apiKey == "" {
			n.apiKey = os.Getenv("MUNIMENT_API_KEY")
		}
		if n.apiKey == "" {
			return nil, errors.New("an API key is needed: give --api-key KEY or set MUNIMENT_API_KEY")
		}
		if exposed(n.server) {
			fmt.Fprintf(notes, "Note: the API key and the documents travel unencrypted to %s; use https.\n", plain(n.server))
		}
	}
	return &client.Client{
		Server: n.server,
		APIKey: n.apiKey,
		Retrying: func(err error, wait time.Duration) {
			fmt.Fprintf(notes, "%s%s; trying again in %s\n", newLine(notes), cause(err), wait.Round(100*time.Millisecond))
		},
	}, nil
}

// cause is an error without advice, for it is being repeated.
func cause(err error) string {
	var unreached *url.Error
	if errors.As(err, &unreached) {
		err = unreached.Err
	}
	return plain(err.Error())
}

// exposed reports whether what is sent to server can be read on the way.
func exposed(server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}
