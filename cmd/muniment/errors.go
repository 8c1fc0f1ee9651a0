package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// explain puts an error in one line that cannot steer a terminal, in the user's
// language, and adds what to do. What servers and libraries say in English stays
// English.
func explain(err error, lang proofs.Language) string {
	var own *fault
	var p *client.Problem
	var unreached *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return sayStopped.in(lang)
	case errors.As(err, &own):
		return own.in(lang)
	case errors.Is(err, client.ErrServer):
		return sayNotServer.in(lang, err.Error())
	case errors.Is(err, client.ErrChanged):
		return sayChanged.in(lang)
	case errors.As(err, &p):
		return explainProblem(p, lang)
	case errors.As(err, &unreached):
		return sayNoAnswer.in(lang, cause(unreached.Err, lang))
	case errors.Is(err, client.ErrReceipt):
		return sayUnbelieved.in(lang, err.Error())
	case errors.Is(err, client.ErrLog):
		return sayLogUnbelieved.in(lang, err.Error())
	case errors.Is(err, client.ErrAnswer):
		return sayOddAnswer.in(lang, err.Error())
	}
	return explainLocal(err, lang)
}

// explainProblem says a server's refusal: its title in the user's language where the
// type is known, its detail as the server put it.
func explainProblem(p *client.Problem, lang proofs.Language) string {
	text := p.Title
	if title, ok := problemTitles[problemName(p)]; ok {
		text = title.in(lang)
	}
	switch {
	case p.Detail != "" && strings.TrimSuffix(p.Detail, ".") != p.Title:
		text = sayProblemDetail.in(lang, text, p.Detail, p.Status)
	default:
		text = sayProblem.in(lang, text, p.Status)
	}
	switch {
	case p.Type == client.ProblemUnauthorized:
		return text + sayCheckKey.in(lang)
	case p.Type == client.ProblemIdempotencyKeyReused:
		return text + sayOtherClaims.in(lang)
	case p.Retry():
		return text + sayLater.in(lang)
	}
	return text
}

// problemName is the name of a problem's type, as JSON gives it and tables know it.
func problemName(p *client.Problem) string {
	const prefix = "/problems/"
	if len(p.Type) > len(prefix) && p.Type[:len(prefix)] == prefix {
		return p.Type[len(prefix):]
	}
	return ""
}

// explainLocal says what went wrong on this machine, or in the use of the command.
func explainLocal(err error, lang proofs.Language) string {
	var path *fs.PathError
	var link *os.LinkError
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &path):
		return sayAbout.in(lang, path.Path, cause(path.Err, lang))
	case errors.As(err, &link):
		return sayAbout.in(lang, link.New, cause(link.Err, lang))
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name = "-" + short
		}
		return sayUnknownFlag.in(lang, name)
	case errors.As(err, &bare):
		return sayBareFlag.in(lang, "--"+bare.GetFlag().Name)
	case errors.As(err, &invalid):
		return sayInvalidFlag.in(lang, invalid.GetValue(), "--"+invalid.GetFlag().Name)
	}
	return cause(err, lang)
}

// causes are the errors of the system that users meet.
var causes = []struct {
	is   error
	says phrase
}{
	{fs.ErrNotExist, sayNotThere},
	{fs.ErrPermission, sayNotAllowed},
	{fs.ErrExist, sayThereAlready},
	{syscall.ENOSPC, sayNoRoom},
	{syscall.EDQUOT, sayNoRoom},
	{syscall.EROFS, sayReadOnly},
	{syscall.EISDIR, sayIsFolder},
	{syscall.ENOTDIR, sayNotFolder},
	{syscall.ENAMETOOLONG, sayNameTooLong},
	{syscall.EMFILE, sayTooManyOpen},
	{syscall.EIO, sayMediumFails},
	{syscall.ECONNREFUSED, sayConnectionRefused},
	{syscall.ECONNRESET, sayConnectionBroken},
	{syscall.EPIPE, sayConnectionBroken},
	{io.ErrUnexpectedEOF, sayConnectionBroken},
	{io.EOF, sayConnectionBroken},
	{syscall.ENETUNREACH, sayNoNetwork},
	{syscall.EHOSTUNREACH, sayNoNetwork},
}

// cause is an error without advice: what the system says, in the user's language
// where it is one of the usual things.
func cause(err error, lang proofs.Language) string {
	for _, c := range causes {
		if errors.Is(err, c.is) {
			return c.says.in(lang)
		}
	}
	var name *net.DNSError
	var late net.Error
	switch {
	case errors.As(err, &name):
		return sayNoSuchHost.in(lang, name.Name)
	case errors.As(err, &late) && late.Timeout():
		return sayTimedOut.in(lang)
	case errors.Is(err, proofs.ErrMalformed):
		return sayMalformed.in(lang, err.Error())
	}
	return plain(err.Error())
}

// refusedDeposit reports whether the depository judged a deposit and said no: sent
// again unchanged, it would be refused again. That it did not know the caller is no
// judgement of the deposit.
func refusedDeposit(err error) bool {
	p, ok := problemOf(err)
	if !ok {
		return refusedEvidence(err)
	}
	switch p.Status {
	case 400, 409, 410, 413, 415, 422:
		return p.Refused()
	}
	return false
}

// refusedEvidence reports whether err is the verdict on evidence.
func refusedEvidence(err error) bool {
	var own *fault
	return errors.Is(err, client.ErrReceipt) || errors.As(err, &own) && own.refused
}

// graver keeps a refusal above any other failure: it is the one that a second run
// does not mend.
func graver(code, other int) int {
	if code == exitRefused || other == exitRefused {
		return exitRefused
	}
	return max(code, other)
}

// exitOf is the exit code of a verdict.
func exitOf(o proofs.Outcome) int {
	switch o {
	case proofs.Verified:
		return 0
	case proofs.Refused:
		return exitRefused
	}
	return exitFailure
}

// problemOf is the depository's refusal in err, if it is one.
func problemOf(err error) (*client.Problem, bool) {
	var p *client.Problem
	ok := errors.As(err, &p)
	return p, ok
}

// stopped reports whether the user ended what failed.
func stopped(err error) bool { return errors.Is(err, context.Canceled) }
