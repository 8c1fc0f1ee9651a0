package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// tell prints one result, as JSON or in words.
func tell(c *cobra.Command, object any, words string, args ...any) error {
	if asJSON, err := c.Flags().GetBool("json"); err != nil || asJSON {
		return errors.Join(err, json.NewEncoder(c.OutOrStdout()).Encode(object))
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), words, args...)
	return err
}

// tellAll prints many, as lines of JSON or as a table.
func tellAll[T any](c *cobra.Command, all []T, heads string, line func(T) (object any, columns []string)) error {
	if asJSON, err := c.Flags().GetBool("json"); err != nil || asJSON {
		e := json.NewEncoder(c.OutOrStdout())
		for _, one := range all {
			object, _ := line(one)
			err = errors.Join(err, e.Encode(object))
		}
		return err
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heads)
	for _, one := range all {
		_, columns := line(one)
		for i := range columns { // names are the operator's own; a terminal takes no control characters from them
			columns[i] = printable(columns[i])
		}
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	return w.Flush()
}
