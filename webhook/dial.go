package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/idna"
)

// errPrivate says that an address must not be called.
var errPrivate = errors.New("private or special address")

// public tells which addresses may be called: those of the internet, and none
// that stands for another one (as in NAT64, 6to4 and Teredo).
var public = ssrf.New(ssrf.WithAnyPort())

// mayCall is nil for an address that may be called.
func mayCall(a netip.Addr) error {
	// An IPv4 address in IPv6's clothes is dialed as what it is.
	if err := public.SafeAddr(a.Unmap()); err != nil {
		return fmt.Errorf("%w: %w", errPrivate, err)
	}
	return nil
}

// guard connects to public addresses alone.
type guard struct {
	dialer   net.Dialer
	resolver *net.Resolver
}

func newGuard() *guard {
	g := &guard{resolver: net.DefaultResolver, dialer: net.Dialer{Timeout: connectTimeout}}
	// All that is dialed was looked at before. The control sees what the kernel
	// is given, so that nothing gets by whatever changes here.
	g.dialer.Control = func(network, address string, _ syscall.RawConn) error { return public.Safe(network, address, nil) }
	return g
}

// dial connects to a host and port. A name is resolved once, and what it
// resolved to is dialed, so that another answer a moment later is of no use; a
// name that also has a private address is refused as a whole.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	found, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if err := mayCall(a); err != nil {
			return nil, err
		}
	}
	return g.dialAny(ctx, network, port, found)
}

func (g *guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if isLocalhost(host) || oddNumber(host) {
		return nil, fmt.Errorf("%w: a name or number of this machine's own", errPrivate) // whatever a resolver says
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return g.resolver.LookupNetIP(ctx, "ip", host)
}

// dialAny tries addresses one after the other, each with its share of the time.
// The first error is given where none answers.
func (g *guard) dialAny(ctx context.Context, network, port string, found []netip.Addr) (net.Conn, error) {
	var first error
	ends := time.Now().Add(connectTimeout)
	for i, a := range found {
		share, cancel := context.WithTimeout(ctx, time.Until(ends)/time.Duration(len(found)-i))
		c, err := g.dialer.DialContext(share, network, net.JoinHostPort(a.Unmap().String(), port))
		cancel()
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// oddNumber tells whether a host is no name, but a number that system calls take
// for an IPv4 address: decimal, octal, hexadecimal, or of too few parts. Names
// have a last part that is no number.
func oddNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// privateHost tells whether a host, without any resolving, is none of the
// internet's.
func privateHost(host string) bool {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil { // full-width digits are digits
		host = ascii
	}
	if isLocalhost(host) || oddNumber(host) {
		return true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(host, "."))
	return err == nil && mayCall(a) != nil
}

func isLocalhost(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
