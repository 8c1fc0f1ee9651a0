package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/muniment/muniment/proofs"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	digestA = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" // of "a"
	digestB = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d" // of "b"
)

// opened reads a CSV file in a folder with a document a.txt.
func opened(t *testing.T, text string, said ...proofs.Member) (*sheet, error) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{"list.csv": text, "a.txt": "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := openSheet(filepath.Join(dir, "list.csv"), said)
	if err == nil {
		err = s.hash(t.Context(), nil)
	}
	return s, err
}

func TestSheetsSayTheSameHoweverTheyAreWritten(t *testing.T) {
	want := []string{
		`{"content.sha256":"` + digestA + `","contract.number":"HT-1","party.0.name":"张三, 李四","terms.amount":"1.00"}`,
		`{"content.sha256":"` + digestB + `","contract.number":"HT-2","party.0.name":"王\n五","terms.amount":"2.00"}`,
	}
	comma := "content.sha256,contract.number,party.0.name,terms.amount\n" +
		digestA + ",HT-1,\"张三, 李四\",1.00\n" +
		digestB + ",HT-2,\"王\n五\",2.00\n"
	semicolon := "content.sha256;contract.number;party.0.name;terms.amount;\n" +
		digestA + ";HT-1;张三, 李四;1.00;\n" + strings.ToUpper(digestB) + ";HT-2;\"王\n五\";2.00;\n;;;;\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(strings.ReplaceAll(semicolon, "王\n五", "王\r\n五"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain": comma, "BOM": "\ufeff" + comma, "semicolons": semicolon, "tabs": strings.ReplaceAll(semicolon, ";", "\t"),
		"CRLF": strings.ReplaceAll(comma, "\n", "\r\n"), "GB18030": gb, "no last line end": strings.TrimSuffix(comma, "\n"),
		"spaces in the header": strings.Replace(comma, ",contract.number,", ", contract.number ,", 1),
	} {
		s, err := opened(t, text)
		if err != nil || len(s.flaws) > 0 || len(s.lines) != 2 {
			t.Errorf("%s: %v, %v", name, err, s)
			continue
		}
		for i, l := range s.lines {
			if l.claims.JSON() != want[i] || l.number != 2+i {
				t.Errorf("%s: line %d: %s", name, l.number, l.claims.JSON())
			}
		}
		if (s.read != nil) != (name == "GB18030") {
			t.Errorf("%s: %v", name, s.read)
		}
	}
}

func TestSheetReadsFilesJSONAndFlags(t *testing.T) {
	number, _ := proofs.Text("HT-0")
	s, err := opened(t, "file,contract.number,terms.installments:,content.size\na.txt,,3,\n,HT-9,,\n", proofs.Member{Name: "contract.number", Value: number})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.lines) != 1 || len(s.flaws) != 1 || s.flaws[0].line != 3 {
		t.Fatalf("%v, %v", s.lines, s.flaws)
	}
	want := `{"content.name":"a.txt","content.sha256":"` + digestA + `","content.size":1,"content.type":"text/plain; charset=utf-8","contract.number":"HT-0","terms.installments":3}`
	if got := s.lines[0].claims.JSON(); got != want {
		t.Errorf("%s", got)
	}
	if got := s.lines[0].stable.JSON(); strings.Contains(got, "content.type") || strings.Contains(got, "content.size") {
		t.Errorf("the key rests on what may become better one day: %s", got)
	}
}

// TestSheetNamesEachFlaw: with line and column, all of them, and nothing else.
func TestSheetNamesEachFlaw(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"contract,content.sha256,id,content.sha256\n", "1:1 1:3 1:4"},
		{"contract.number,party.0.name\nHT,x\n", "1:0"},
		{"content.sha256,,contract.number\n", "1:2"},
		{"content.sha256,terms.amount\nzz, 1\n" + digestA + ",1\n" + digestA + ",1\n,1\n" + digestB + ",1,2\n", "2:1 2:2 5:0 6:3 4:0"},
		{"content.sha256,content.size\n" + digestA + ",1.5\n" + digestB + ",-1\n", "2:2 3:2"},
		{"content.sha256,terms.x:\n" + digestA + ",{\n" + digestB + ",null\n", "2:2 3:2"},
		{"content.sha256,label.x\n" + digestA + ",\"a\n", "2:0"},
		{"file,content.sha256\nnone.txt,\na.txt," + digestB + "\na.txt," + digestA + "\n", "2:1 3:1"},
		{"content.sha256,label.x\n" + digestA + "," + strings.Repeat("长", 6000) + "\n", "2:0"},
		{"content.sha256,label.x\n\"" + digestA + "\n\",x\n" + digestB + ",\x00\n", "2:1 4:2"},
	} {
		s, err := opened(t, c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var got []string
		for _, f := range s.flaws {
			got = append(got, fmt.Sprintf("%d:%d", f.line, f.column))
			if explain(f.err, proofs.Chinese) == "" {
				t.Errorf("%q: a flaw without words", c.text)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %v, want %s", c.text, got, c.want)
		}
	}
}

func TestSheetRefusesWhatIsNoList(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "header alone": "content.sha256\n", "UTF-16": "\xff\xfea\x00", "binary": "content.sha256\n\x81\xff\n",
	} {
		if s, err := opened(t, text); err == nil {
			t.Errorf("%s: %v", name, s.flaws)
		}
	}
}

func FuzzSheet(f *testing.F) {
	f.Add([]byte("content.sha256;file\n" + digestA + ";a\n"))
	f.Add([]byte("\ufefffile,terms.x:\r\n\"a\",{}\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &sheet{path: "x"}
		if _, err := s.decode(data); err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := openSheet(path, nil)
		if err != nil {
			return
		}
		for _, l := range list.lines {
			for _, m := range l.claims {
				if checkMember(m.Name, m.Value) != nil {
					t.Errorf("%s: %s", m.Name, m.Value.JSON())
				}
			}
		}
	})
}
