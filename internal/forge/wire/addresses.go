package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
)

// Link lets only web addresses through, as they end up in pages.
func Link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return address
}

// loopback tells whether a host is this machine, so that what is sent there in clear text is heard by nobody else.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Base checks the address of a forge, which has credentials sent to it. Like is what a right one looks like, for the error.
func Base(address, like string) (*url.URL, error) {
	at, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("the address is not a URL")
	case at.User != nil:
		return nil, errors.New("the address must not hold credentials")
	case at.Host == "" || at.RawQuery != "" || at.Fragment != "" || at.RawPath != "":
		return nil, fmt.Errorf("the address %q is not like %s", at.Redacted(), like)
	case at.Scheme != "https" && (at.Scheme != "http" || !loopback(at.Hostname())):
		return nil, fmt.Errorf("the address %q must be https, as tokens go there", at.Redacted())
	}
	return at, nil
}
