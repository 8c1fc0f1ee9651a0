package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

func versionCommand(lang proofs.Language) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "version",
		Short:             sayVersionShort.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, _ []string) error {
			s := newScreen(c, lang, asJSON)
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if asJSON {
				return s.object(struct {
					Version  string `json:"version"`
					Go       string `json:"go"`
					Platform string `json:"platform"`
				}{version(), runtime.Version(), platform})
			}
			return s.text("muniment " + version() + " " + runtime.Version() + " " + platform)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, sayFlagJSON.in(lang))
	return c
}

// version is what the toolchain wrote into the binary: the module's version, and the
// commit if it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v += " " + s.Value
		}
	}
	return v
}
