package console

import (
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/muniment/muniment/proofs"
)

// languages are those that the console has.
var languages = []string{"zh", "en"}

var reads = language.NewMatcher([]language.Tag{language.Chinese, language.English})

// chooseLanguage takes what the address says, which the browser then keeps, or what it kept,
// or what it prefers.
func (v *visit) chooseLanguage() {
	asked := v.r.URL.Query().Get("lang")
	cookie, err := v.r.Cookie(langCookie)
	switch {
	case known(asked):
		v.lang = asked
		v.setCookie(langCookie, asked, 365*24*time.Hour)
	case err == nil && known(cookie.Value):
		v.lang = cookie.Value
	case v.r.Header.Get("Accept-Language") == "":
		v.lang = v.Language
	default:
		_, i := language.MatchStrings(reads, v.r.Header.Get("Accept-Language"))
		v.lang = languages[i]
	}
	if !known(v.lang) {
		v.lang = languages[0]
	}
	v.w.Header().Add("Vary", "Accept-Language, Cookie")
}

func known(lang string) bool { return lang == "zh" || lang == "en" }

// inOther is the address of this page in a language.
func (v *visit) in(lang string) string {
	q := v.r.URL.Query()
	q.Set("lang", lang)
	if v.r.Method != http.MethodGet {
		return v.to("/", "lang", lang) // what a form answered is not there to be looked at again
	}
	return v.r.URL.EscapedPath() + "?" + q.Encode()
}

// said is one text in both languages; its verbs stand in the same order.
type said struct{ zh, en string }

func (s said) in(lang string) string {
	if lang == "zh" {
		return s.zh
	}
	return s.en
}

// speaker says words in one language.
type speaker string

// say returns a text by its name. One that there is not is a fault of the program, which a
// test of every page finds.
func (lang speaker) say(name string, args ...any) (string, error) {
	s, ok := words[name]
	if !ok {
		return "", fmt.Errorf("no words for %q", name)
	}
	text := s.in(string(lang))
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	return text, nil
}

// or is say for a name that may be another program's: what has no words is said as it is.
func (lang speaker) or(family, name string) string {
	if s, ok := words[family+"."+name]; ok {
		return s.in(string(lang))
	}
	return name
}

var beijing = time.FixedZone("CST", 8*60*60)

// zone is where the days of a page begin.
func (v *visit) zone() *time.Location {
	if v.lang == "zh" {
		return beijing
	}
	return time.UTC
}

// moment is a time as people write it, to the second, with its zone; what is none, as it is.
func (lang speaker) moment(at any) string {
	t, ok := at.(time.Time)
	if text, is := at.(string); is {
		parsed, err := proofs.ParseTime(text)
		if err != nil {
			return text
		}
		t, ok = parsed, true
	}
	if !ok || t.IsZero() {
		return ""
	}
	if lang == "zh" {
		return t.In(beijing).Format("2006年1月2日 15:04:05") + "（北京时间）"
	}
	return t.UTC().Format("2 Jan 2006, 15:04:05") + " UTC"
}

// day is the date of a moment.
func (lang speaker) day(t time.Time) string {
	if lang == "zh" {
		return t.In(beijing).Format("2006年1月2日")
	}
	return t.UTC().Format("2 Jan 2006")
}

// count has the digits of a whole number in groups.
func count(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes, as people say it.
func (lang speaker) size(bytes any) string {
	n, err := strconv.ParseFloat(fmt.Sprint(bytes), 64)
	if err != nil {
		return ""
	}
	unit := 0
	units := []string{"B", "KB", "MB", "GB", "TB"}
	for n >= 1000 && unit < len(units)-1 {
		n /= 1000
		unit++
	}
	text := strconv.FormatFloat(n, 'f', 1, 64)
	if unit == 0 || n >= 100 {
		text = strconv.FormatFloat(n, 'f', 0, 64)
	}
	if unit == 0 {
		return text + " " + words["bytes"].in(string(lang))
	}
	return text + " " + units[unit]
}

// short is the beginning of a digest or an id, where the whole stands elsewhere.
func short(text string) string {
	if len(text) <= 12 {
		return text
	}
	return text[:12] + "…"
}

// label is what a record's member is called; what has no words is named as it stands.
func (lang speaker) label(name string) string {
	if s, ok := members[name]; ok {
		return s.in(string(lang))
	}
	if rest, ok := strings.CutPrefix(name, "party."); ok {
		n, what, _ := strings.Cut(rest, ".")
		if s, ok := members["party.*."+what]; ok {
			if i, err := strconv.Atoi(n); err == nil { // people count from one
				n = strconv.Itoa(i + 1)
			}
			return fmt.Sprintf(s.in(string(lang)), n)
		}
	}
	if rest, ok := strings.CutPrefix(name, "label."); ok {
		return fmt.Sprintf(members["label.*"].in(string(lang)), rest)
	}
	return name
}

func (lang speaker) funcs() template.FuncMap {
	return template.FuncMap{
		"say": lang.say, "word": lang.or, "moment": lang.moment, "count": count, "size": lang.size, "short": short, "label": lang.label,
		"day": lang.day, "value": lang.value, "add": func(a, b int) int { return a + b },
	}
}
