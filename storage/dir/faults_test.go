package dir

import (
	"strings"
	"sync"
)

// faulty is the real file system with a journal of its calls, in which each of
// them can be made to fail.
type faulty struct {
	linux
	named bool // files have temporary names
	mu    sync.Mutex
	calls []string       // "op path", in the order in which they ended
	count map[string]int // by op
	// fail returns the error of call number n of op, before anything is done.
	fail func(op string, n int) error
}

func (s *faulty) call(op, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[op]++
	if s.fail != nil {
		if err := s.fail(op, s.count[op]); err != nil {
			return err
		}
	}
	s.calls = append(s.calls, op+" "+path)
	return nil
}

func (s *faulty) reset(fail func(op string, n int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.count, s.fail = nil, nil, fail
}

func (s *faulty) counted(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[op]
}

// position returns where in the journal the first call that begins so stands, or -1.
func (s *faulty) position(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.calls {
		if strings.HasPrefix(c, call) {
			return i
		}
	}
	return -1
}

func (s *faulty) create(dir string) (newFile, error) {
	if err := s.call("create", dir); err != nil {
		return nil, err
	}
	f, err := s.inner().create(dir)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, f, s, dir, "fsync"}, nil
}

func (s *faulty) inner() system {
	if s.named {
		return named{}
	}
	return s.linux
}

func (s *faulty) openDir(path string) (file, error) {
	if err := s.call("opendir", path); err != nil {
		return nil, err
	}
	f, err := s.linux.openDir(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, nil, s, path, "dirsync"}, nil
}

func (s *faulty) mkdir(path string) error {
	if err := s.call("mkdir", path); err != nil {
		return err
	}
	return s.linux.mkdir(path)
}

func (s *faulty) remove(path string) error {
	if err := s.call("remove", path); err != nil {
		return err
	}
	return s.linux.remove(path)
}

type faultyFile struct {
	file
	new  newFile // nil for a directory
	sys  *faulty
	path string
	sync string
}

// Write fails half way, as a full disk does.
func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.sys.call("write", f.path); err != nil {
		n, _ := f.new.Write(p[:len(p)/2])
		return n, err
	}
	return f.new.Write(p)
}

func (f *faultyFile) name(path string) error {
	if err := f.sys.call("name", path); err != nil {
		return err
	}
	return f.new.name(path)
}

func (f *faultyFile) Sync() error {
	if err := f.sys.call(f.sync, f.path); err != nil {
		return err
	}
	return f.file.Sync()
}
