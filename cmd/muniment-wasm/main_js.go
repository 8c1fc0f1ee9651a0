package main

import (
	"encoding/json"
	"errors"
	"io"
	"syscall/js"
)

// main hands the worker two functions and stays. Both take and give JSON, beside an array of
// Blobs, and must be called in a worker, where Blobs can be read at once.
func main() {
	js.Global().Set("munimentIdentify", js.FuncOf(func(_ js.Value, args []js.Value) any {
		return string(identify(files(args[0])[0]))
	}))
	js.Global().Set("munimentExamine", js.FuncOf(func(_ js.Value, args []js.Value) any {
		var q question
		if err := json.Unmarshal([]byte(args[0].String()), &q); err != nil {
			panic(err) // the page's own words
		}
		for i, f := range files(args[1]) {
			f.Kind = q.Kinds[i]
			q.files = append(q.files, f)
		}
		q.progress = func(done int64) { args[2].Invoke(done) }
		out, err := json.Marshal(q.answer())
		if err != nil {
			panic(err)
		}
		return string(out)
	}))
	select {}
}

// files are the [{name, blob}] of the page.
func files(array js.Value) []file {
	out := make([]file, array.Length())
	for i := range out {
		f := array.Index(i)
		b := f.Get("blob")
		size := int64(b.Get("size").Float())
		out[i] = file{Name: f.Get("name").String(), Size: size, bytes: &window{from: blob{b, js.Global().Get("FileReaderSync").New()}, size: size}}
	}
	return out
}

// blob reads a Blob, in a worker and at once.
type blob struct{ value, reader js.Value }

// ReadAt implements io.ReaderAt. A file that has changed or gone since it was chosen is an
// error.
func (b blob) ReadAt(p []byte, off int64) (n int, err error) {
	defer func() {
		if e := recover(); e != nil {
			n, err = 0, errors.New("the file cannot be read")
		}
	}()
	end := min(off+int64(len(p)), int64(b.value.Get("size").Float()))
	if off >= end {
		return 0, io.EOF
	}
	buffer := b.reader.Call("readAsArrayBuffer", b.value.Call("slice", off, end))
	n = js.CopyBytesToGo(p, js.Global().Get("Uint8Array").New(buffer))
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
