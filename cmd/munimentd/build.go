package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/service"
)

// readBuild says what this program is, by the toolchain's word and by its own file.
func readBuild() (service.Build, error) {
	b := service.Build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				b.Revision += "+changes"
			}
		}
	}
	path, err := os.Executable()
	if err != nil {
		return b, err
	}
	if runtime.GOOS == "linux" {
		path = "/proc/self/exe" // the file that runs, also when another has its name by now
	}
	f, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return b, err
	}
	b.SHA256 = hex.EncodeToString(h.Sum(nil))
	return b, nil
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Show version, revision and SHA-256 of this program",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := readBuild()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(b)
			}
			revision := b.Revision
			if revision == "" {
				revision = "unknown"
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "munimentd %s\nrevision  %s\nsha256    %s\n%s %s\n", b.Version, revision, b.SHA256, b.Go, b.Platform)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
