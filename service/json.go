package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// parseDigest reads {"record": {…}} and nothing else.
func parseDigest(data []byte) (proofs.Record, error) {
	// What stands between the one opening and the one closing is a record only if
	// the whole is right.
	if inner, ok := between(string(data), `"record"`); ok {
		if record, err := proofs.ParseMembers(inner); err == nil {
			return record, nil
		}
	}
	// Else it is wrong, empty or oddly spelled: slower, but sure to say which.
	fields, err := envelope(data, `{"record": {…}}`, "record")
	if err != nil {
		return nil, err
	}
	record, there := fields["record"]
	if !there {
		return nil, missing("record")
	}
	return parseRecord(record)
}

const space = " \t\r\n" // of JSON

// between returns what stands after {name: and before the last brace.
func between(text, name string) (string, bool) {
	text = strings.Trim(text, space)
	rest, ok := strings.CutPrefix(text, "{")
	if !ok {
		return "", false
	}
	if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, space), name); !ok {
		return "", false
	}
	if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, space), ":"); !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "}")
}

// envelope returns the fields of a JSON object that has no others than these, each at
// most once. encoding/json alone would pass unknown, repeated and otherwise spelled
// fields over.
func envelope(data []byte, form string, names ...string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	syntax := refuse(malformedJSON, "This is not a JSON object of the form "+form+".")
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, syntax
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, syntax
		}
		if !slices.Contains(names, name) {
			return nil, refuse(malformedJSON, fmt.Sprintf("There is no field %q; the form is %s.", name, form))
		}
		if _, there := fields[name]; there {
			return nil, refuse(malformedJSON, fmt.Sprintf("The field %q stands twice.", name))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, syntax
		}
		fields[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, syntax
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, refuse(malformedJSON, "There is more after the JSON object.")
	}
	return fields, nil
}

func missing(field string) error {
	return refuse(malformedJSON, fmt.Sprintf("The field %q is missing.", field))
}

// parseRecord reads a flat object of members; the empty one too, since the
// depository adds members of its own.
func parseRecord(data []byte) (proofs.Record, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, refuse(malformedJSON, "The record is not a JSON object.")
	}
	if compact.String() == "{}" {
		return nil, nil
	}
	record, err := proofs.ParseMembers(string(data))
	if err != nil {
		return nil, badRecord("", err)
	}
	return record, nil
}
