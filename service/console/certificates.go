package console

import (
	"archive/zip"
	"fmt"
	"hash/crc32"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/service/api"
)

// maxCertificates is how many certificates one file has at most.
const maxCertificates = 1000

// certificates answers with the certificates of the deposits that were ticked, or of all that
// a search finds, as a ZIP that begins at once and grows as they are made. Each file's header
// says its length, by which the page tells how far it has come. One that cannot be made has a
// text in its place, that says why: the others are worth having.
func (v *visit) certificates() error {
	ids, err := v.chosenDeposits()
	if err != nil {
		return err
	}
	q := chosen(v.r.PostForm, "lang", "profile")
	h := v.w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("X-Certificates", strconv.Itoa(len(ids)))
	h.Set("Content-Disposition", "attachment; filename=certificates-"+v.now.UTC().Format("20060102-150405")+".zip")
	out := zip.NewWriter(v.w)
	for _, id := range ids {
		name, content := v.certificateOf(id, q)
		if err := v.put(out, name, content); err != nil || v.r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // what broke off must not look whole
		}
	}
	if err := out.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// chosenDeposits are the ids that were ticked, or of all that is found.
func (v *visit) chosenDeposits() ([]string, error) {
	ids := v.r.PostForm["id"]
	if v.r.PostForm.Has("all") {
		var err error
		if ids, err = v.allFound(); err != nil {
			return nil, err
		}
	}
	slices.Sort(ids) // ids are in the order of time
	ids = slices.Compact(ids)
	switch {
	case len(ids) == 0:
		return nil, errNothing
	case len(ids) > maxCertificates:
		return nil, errTooMany
	}
	return ids, nil
}

// allFound are the ids of all that the form's search finds, or of one more than may be.
func (v *visit) allFound() (ids []string, err error) {
	for a := askedBy(v.r.PostForm); ; {
		q, wrong := a.query(v.zone())
		if wrong != nil {
			return nil, wrong
		}
		q.Set("limit", "1000")
		var list api.DepositList
		if err := v.get("/v1/deposits", q, &list); err != nil {
			return nil, err
		}
		for _, d := range list.Deposits {
			ids = append(ids, d.Id)
		}
		if a.Cursor = list.Next; a.Cursor == "" || len(ids) > maxCertificates {
			return ids, nil
		}
	}
}

// certificateOf is a file of the ZIP.
func (v *visit) certificateOf(id string, q url.Values) (name string, content []byte) {
	r, err := v.ask(http.MethodGet, depositPath(id)+"/certificate", q, nil)
	var answer *held
	if err == nil {
		answer, err = v.hold(r)
	}
	if err != nil {
		f := v.explain(problemOf(err))
		return safe(id) + ".txt", fmt.Appendf(nil, "%s\n%s\n%s\n", id, f.Title, f.Detail)
	}
	name = safe(id) + ".pdf"
	if _, params, err := mime.ParseMediaType(answer.header.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		name = safe(id) + "-" + path.Base(params["filename"])
	}
	return name, answer.body.Bytes()
}

// safe keeps of what came as an id what can stand in a file's name.
func safe(id string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, id)
}

// put writes a file as it is, with its length before it.
func (v *visit) put(out *zip.Writer, name string, content []byte) error {
	h := zip.FileHeader{
		Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content)),
	}
	h.SetModTime(v.now.UTC())
	w, err := out.CreateRaw(&h)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = http.NewResponseController(v.w).Flush()
	}
	return err
}
