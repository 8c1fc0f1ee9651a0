package notarytest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/muniment/muniment/notary"
)

// Segments is a notary.Segments in memory. Several notaries may share it.
type Segments struct {
	Faults *Faults

	mu     sync.Mutex // never held while a caller's code runs
	stored map[notary.SegmentName]StoredSegment
	frozen map[string][]byte
	kept   map[[2]string][]byte // accounts, by origin and name
}

// StoredSegment is one segment with its keys.
type StoredSegment struct{ Segment, Keys []byte }

// NewSegments returns an empty store.
func NewSegments() *Segments {
	return &Segments{
		Faults: &Faults{names: []string{"Put", "Load", "List", "ListKeys", "EditKeys", "KeepAccount", "DropAccount", "KeptAccounts", "Freeze", "Frozen"}},
		stored: map[notary.SegmentName]StoredSegment{},
		frozen: map[string][]byte{},
		kept:   map[[2]string][]byte{},
	}
}

// Snapshot returns a copy of all segments: a backup.
func (s *Segments) Snapshot() map[notary.SegmentName]StoredSegment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cloneSegments(s.stored)
}

// Restore puts a copy of segments in the place of all that is stored.
func (s *Segments) Restore(segments map[notary.SegmentName]StoredSegment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = cloneSegments(segments)
}

func cloneSegments(segments map[notary.SegmentName]StoredSegment) map[notary.SegmentName]StoredSegment {
	c := make(map[notary.SegmentName]StoredSegment, len(segments))
	for name, s := range segments {
		c[name] = StoredSegment{bytes.Clone(s.Segment), bytes.Clone(s.Keys)}
	}
	return c
}

// Corrupt lets f change what is stored, in place.
func (s *Segments) Corrupt(f func(map[notary.SegmentName]StoredSegment)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.stored)
}

// Put implements notary.Segments. What may be done of it and not the rest is to store the
// keys.
func (s *Segments) Put(ctx context.Context, name notary.SegmentName, segment, keys []byte) error {
	return s.Faults.call(ctx, "Put", func() error {
		if len(segment) > notary.MaxSegment || len(keys) > notary.MaxSegment {
			return fmt.Errorf("a segment has at most %d bytes", notary.MaxSegment)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		old, there := s.stored[name]
		if !there {
			s.stored[name] = StoredSegment{bytes.Clone(segment), bytes.Clone(keys)}
			return nil
		}
		if !bytes.Equal(old.Segment, segment) {
			return fmt.Errorf("%w: another segment of that name is there", notary.ErrDamaged)
		}
		if old.Keys == nil {
			s.stored[name] = StoredSegment{old.Segment, bytes.Clone(keys)}
		}
		return nil
	})
}

// Load implements notary.Segments.
func (s *Segments) Load(ctx context.Context, name notary.SegmentName) (segment, keys []byte, err error) {
	err = s.Faults.call(ctx, "Load", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		o, there := s.stored[name]
		if !there || o.Segment == nil {
			return notary.ErrNotFound
		}
		segment, keys = bytes.Clone(o.Segment), bytes.Clone(o.Keys)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return segment, keys, nil
}

// List implements notary.Segments.
func (s *Segments) List(ctx context.Context, origin string, from uint64, fn func(notary.SegmentName) error) error {
	return s.list(ctx, "List", origin, from, fn, func(o StoredSegment) bool { return o.Segment != nil })
}

// ListKeys implements notary.Segments.
func (s *Segments) ListKeys(ctx context.Context, origin string, from uint64, fn func(notary.SegmentName) error) error {
	return s.list(ctx, "ListKeys", origin, from, fn, func(o StoredSegment) bool { return o.Keys != nil })
}

func (s *Segments) list(ctx context.Context, call, origin string, from uint64, fn func(notary.SegmentName) error, there func(StoredSegment) bool) error {
	var names []notary.SegmentName
	err := s.Faults.call(ctx, call, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, o := range s.stored {
			if name.Origin == origin && name.From >= from && there(o) {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(names, func(a, b notary.SegmentName) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), bytes.Compare(a.End[:], b.End[:]))
	})
	for _, name := range names {
		if err := fn(name); err != nil {
			return err
		}
	}
	return nil
}

// EditKeys implements notary.Segments.
func (s *Segments) EditKeys(ctx context.Context, name notary.SegmentName, edit func([]byte) ([]byte, error)) error {
	s.mu.Lock()
	keys := bytes.Clone(s.stored[name].Keys)
	s.mu.Unlock()
	if keys == nil {
		return s.Faults.call(ctx, "EditKeys", func() error { return nil })
	}
	edited, err := edit(bytes.Clone(keys))
	if err != nil {
		return err
	}
	again := false
	err = s.Faults.call(ctx, "EditKeys", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		o := s.stored[name]
		if again = !bytes.Equal(o.Keys, keys); !again {
			o.Keys = bytes.Clone(edited)
			s.stored[name] = o
		}
		return nil
	})
	if again && err == nil {
		return s.EditKeys(ctx, name, edit)
	}
	return err
}

// KeepAccount implements notary.Segments.
func (s *Segments) KeepAccount(ctx context.Context, origin, name string, body []byte) error {
	return s.Faults.call(ctx, "KeepAccount", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, there := s.kept[[2]string{origin, name}]; !there {
			s.kept[[2]string{origin, name}] = bytes.Clone(body)
		}
		return nil
	})
}

// DropAccount implements notary.Segments.
func (s *Segments) DropAccount(ctx context.Context, origin, name string) error {
	return s.Faults.call(ctx, "DropAccount", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.kept, [2]string{origin, name})
		return nil
	})
}

// KeptAccounts implements notary.Segments.
func (s *Segments) KeptAccounts(ctx context.Context, origin string, fn func(name string, body []byte) error) error {
	kept := map[string][]byte{}
	err := s.Faults.call(ctx, "KeptAccounts", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for k, body := range s.kept {
			if k[0] == origin {
				kept[k[1]] = bytes.Clone(body)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, body := range kept {
		if err := fn(name, body); err != nil {
			return err
		}
	}
	return nil
}

// Freeze implements notary.Segments.
func (s *Segments) Freeze(ctx context.Context, origin string, why []byte) error {
	return s.Faults.call(ctx, "Freeze", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, there := s.frozen[origin]; !there {
			s.frozen[origin] = bytes.Clone(why)
		}
		return nil
	})
}

// Frozen implements notary.Segments.
func (s *Segments) Frozen(ctx context.Context, origin string) (why []byte, err error) {
	err = s.Faults.call(ctx, "Frozen", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		found, there := s.frozen[origin]
		if !there {
			return notary.ErrNotFound
		}
		why = bytes.Clone(found)
		return nil
	})
	return why, err
}
