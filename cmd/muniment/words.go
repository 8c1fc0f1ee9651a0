package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// phrase is something said to people, in both languages; its verbs stand in the same
// order. messages.go has them all.
type phrase struct{ en, zh string }

// in says the phrase. What is put into it is other people's text, and is made
// harmless; errors and phrases among it are put into the same language.
func (p phrase) in(lang proofs.Language, args ...any) string {
	said := make([]any, len(args))
	for i, arg := range args {
		switch a := arg.(type) {
		case string:
			said[i] = plain(a)
		case error:
			said[i] = explain(a, lang)
		case phrase:
			said[i] = a.in(lang)
		case remark:
			said[i] = a.in(lang)
		default:
			said[i] = arg
		}
	}
	text := p.en
	if lang == proofs.Chinese {
		text = p.zh
	}
	return fmt.Sprintf(text, said...)
}

// with is the phrase and what belongs into it, to be said later.
func (p phrase) with(args ...any) remark { return remark{p, args} }

// err is the phrase as an error.
func (p phrase) err(args ...any) error { return &fault{remark: remark{p, args}} }

// refusal is the phrase as the error of evidence that was judged and refused.
func (p phrase) refusal(args ...any) error { return &fault{remark{p, args}, true} }

// remark is a phrase that waits for its language.
type remark struct {
	phrase
	args []any
}

func (r remark) in(lang proofs.Language) string { return r.phrase.in(lang, r.args...) }

// fault is an error of this program's own, to be read in the user's language.
type fault struct {
	remark
	refused bool // evidence was judged, and must not be relied on
}

// Error implements error, in English.
func (f *fault) Error() string { return f.in(proofs.English) }

// Unwrap gives the errors that f speaks of.
func (f *fault) Unwrap() []error {
	var out []error
	for _, arg := range f.args {
		if err, ok := arg.(error); ok {
			out = append(out, err)
		}
	}
	return out
}

// language is the one asked for, or else the user's.
func language(asked string) (proofs.Language, error) {
	switch l := proofs.Language(asked); l {
	case proofs.English, proofs.Chinese:
		return l, nil
	case "":
		return usual(), nil
	}
	return usual(), sayWhichLanguage.err()
}

// usual is the language that the environment asks for.
func usual() proofs.Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return proofs.Chinese
			}
			break
		}
	}
	return proofs.English
}

// askedLanguage is what --lang says among the arguments of a command. Help and the
// errors of usage are to be in that language, and are made before flags are parsed.
func askedLanguage(args []string) string {
	for i, arg := range args {
		switch value, joined := strings.CutPrefix(arg, "--lang="); {
		case arg == "--":
			return ""
		case joined:
			return value
		case arg == "--lang" && i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}
