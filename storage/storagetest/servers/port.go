package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// fixedPort returns a port of 127.0.0.1 that a server may keep while it is stopped: one
// that the system gives to no outgoing connection meanwhile.
func fixedPort() (int, error) {
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
