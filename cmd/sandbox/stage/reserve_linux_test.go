package stage

import (
	"net"
	"testing"
)

// TestAReservedPortIsOnesOwn: it can be listened at again and again, and while nobody does, no connection of another's starts there.
func TestAReservedPortIsOnesOwn(t *testing.T) {
	address, release, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []interface{ Close() error }{accepted, conn, listener} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	for range 200 {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if other.Addr().String() == address {
			t.Fatal("the reserved port was given to somebody else")
		}
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
