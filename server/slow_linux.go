package server

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// queued is how many bytes of a connection the client's system has not taken.
func queued(c net.Conn) (n int, known bool) {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return 0, false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0, false
	}
	if controlErr := control.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); controlErr != nil || err != nil {
		return 0, false
	}
	return n, true
}
