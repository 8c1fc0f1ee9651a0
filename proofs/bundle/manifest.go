package bundle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a bundle.
const (
	// MaxDeposits is the most deposits that one bundle has.
	MaxDeposits = 2000
	// MaxFiles is the most files that are looked at.
	MaxFiles = 5*MaxDeposits + 1000
	// maxManifest has room for MaxDeposits with the longest names.
	maxManifest = 8 << 20
	maxSegment  = 200 // bytes of a name between slashes
	maxPolicy   = 256 << 10
	maxRoots    = 4 << 20
	maxPaper    = 8 << 20 // of a certificate, which has no document in it here
)

const format = "muniment/bundle@v1"

// Names of files in a bundle.
const (
	ManifestName = "manifest.json"
	policyName   = "policy"
	rootsName    = "timestamp-roots.pem"
	pageName     = "verify.html"
	readmeName   = "README.txt"

	policiesFolder     = "policies/"
	receiptsFolder     = "receipts/"
	evidenceFolder     = "evidence/"
	certificatesFolder = "certificates/"
	documentsFolder    = "documents/"
)

// What a manifest says of certificates.
const (
	certificatesEach = "each" // every deposit in the bundle has one
	certificatesNone = "none"
)

// A Manifest says what is in a bundle.
type Manifest struct {
	Format   string  `json:"format"`
	Origin   string  `json:"origin"`
	Contract string  `json:"contract"`
	Count    uint64  `json:"count"`   // deposits that the case had
	Missing  []Range `json:"missing"` // their numbers that the bundle does not have, ascending
	// Certificates is each or none; empty in bundles from before there were any, which have none.
	Certificates string `json:"certificates,omitempty"`
	// Deposits are those in the bundle, by ascending number.
	Deposits []Line `json:"deposits"`
	// Files are all files but the manifest, by name.
	Files map[string]Sum `json:"files"`
}

// A Range is numbers from the first to the last, both included.
type Range [2]uint64

// A Line names the files of one deposit.
type Line struct {
	Number      uint64 `json:"number"`
	Receipt     string `json:"receipt"`
	Evidence    string `json:"evidence,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Document    string `json:"document,omitempty"` // absent where the depository holds none
}

// A Sum is a file's size in bytes and the hex of its SHA-256.
type Sum struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// marshal returns the manifest's one spelling.
func (m Manifest) marshal() []byte {
	if m.Missing == nil {
		m.Missing = []Range{}
	}
	if m.Deposits == nil {
		m.Deposits = []Line{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(m); err != nil {
		panic(err) // strings and numbers
	}
	return b.Bytes()
}

// parseManifest accepts only what marshal writes, and only names that are safe.
func parseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if len(data) > maxManifest {
		return m, fmt.Errorf("it is longer than %d bytes", maxManifest)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, err
	}
	switch {
	case m.Format != format:
		return m, fmt.Errorf("its format is not %s", format)
	case !bytes.Equal(m.marshal(), data):
		return m, fmt.Errorf("it is not in its canonical form")
	case len(m.Deposits) > MaxDeposits || len(m.Files) > MaxFiles:
		return m, fmt.Errorf("it names more than %d deposits or %d files", MaxDeposits, MaxFiles)
	case !slices.Contains([]string{"", certificatesEach, certificatesNone}, m.Certificates):
		return m, fmt.Errorf("it does not say whether there are certificates")
	}
	last := uint64(0)
	for _, l := range m.Deposits {
		if l.Number <= last || l.Number > m.Count {
			return m, fmt.Errorf("its deposits are not in the order of their numbers")
		}
		last = l.Number
	}
	for name, sum := range m.Files {
		if digest, err := hex.DecodeString(sum.SHA256); !safe(name) || err != nil || len(digest) != 32 || sum.Size < 0 {
			return m, fmt.Errorf("it names a file that no bundle has")
		}
	}
	return m, nil
}

// missing are the numbers from 1 to count that no line has.
func missing(count uint64, lines []Line) []Range {
	out := []Range{}
	next := uint64(1)
	for _, l := range lines {
		if l.Number > next {
			out = append(out, Range{next, l.Number - 1})
		}
		next = l.Number + 1
	}
	if next <= count {
		out = append(out, Range{next, count})
	}
	return out
}

// safe reports whether a name can be written to a disk below any folder and stay there,
// whatever the system: a file, or a file in one folder.
func safe(name string) bool {
	parts := strings.Split(name, "/")
	if len(parts) > 2 || !utf8.ValidString(name) {
		return false
	}
	return !slices.ContainsFunc(parts, func(p string) bool { return p == "" || p != FileName(p) })
}

// FileName makes a text fit to name a file: letters, marks, digits and a few signs; what else
// there is becomes _. It leaves what it made as it is, and may leave nothing.
func FileName(text string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.+()（） ", r) {
			return r
		}
		return '_'
	}, strings.ToValidUTF8(text, "_"))
	clean = strings.ReplaceAll(clean, "..", "._") // what looks like a way up
	extension := path.Ext(clean)
	if len(extension) > 20 {
		extension = ""
	}
	stem := strings.TrimSuffix(clean, extension)
	for len(stem)+len(extension) > maxSegment {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	// Windows drops blanks and dots at the end, and files that begin with a dot hide.
	return strings.TrimRight(strings.TrimLeft(stem+extension, " ."), " .")
}
