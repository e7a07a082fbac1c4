package main

import (
	"reflect"
	"testing"
)

// TestWhatWasChangedOnceIsKept has a part that was written to until the program was linked, and is sealed since.
func TestWhatWasChangedOnceIsKept(t *testing.T) {
	const program = "/usr/local/bin/boatlift"
	part := func(where, rights, dirty, anonymous, swap string) string {
		return where + " " + rights + " 00000000 fe:00 123    " + program + "\nSize: 4 kB\nRss: 4 kB\nPrivate_Clean: 4 kB\nPrivate_Dirty: " + dirty +
			" kB\nAnonymous: " + anonymous + " kB\nSwap: " + swap + " kB\nVmFlags: rd mr mw me sd\n"
	}
	smaps := part("00400000-00401000", "r-xp", "0", "0", "0") + part("00401000-00402000", "r--p", "4", "4", "0") + part("00402000-00403000", "r--p", "0", "0", "4") +
		part("00403000-00405000", "r--p", "0", "0", "0") + part("00405000-00406000", "rw-p", "0", "0", "0") +
		"00406000-00407000 r--p 00000000 fe:00 123 " + program + "\nSize: 4 kB\n"
	if got, want := neverWritten(smaps, program), [][2]uintptr{{0x400000, 0x1000}, {0x403000, 0x2000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%x; want %x", got, want)
	}
}

func TestUnchangingPartsOfTheProgram(t *testing.T) {
	const program = "/usr/local/bin/boatlift"
	for line, want := range map[string][2]uintptr{
		"00400000-01537000 r-xp 00000000 fe:00 123    /usr/local/bin/boatlift\n":  {0x400000, 0x1137000},
		"01537000-0282e000 r--p 01137000 fe:00 123    /usr/local/bin/boatlift\n":  {0x1537000, 0x12f7000},
		"0282e000-02943000 rw-p 0242e000 fe:00 123    /usr/local/bin/boatlift\n":  {}, // its variables
		"7f0000000000-7f0000001000 r--p 00000000 fe:00 9 /data/boatlift.db-shm\n": {},
		"7f0000000000-7f0000001000 r--p 00000000 00:00 0\n":                       {},
		"x-y r--p 00000000 fe:00 123 /usr/local/bin/boatlift\n":                   {},
		"01537000-00400000 r--p 00000000 fe:00 123 /usr/local/bin/boatlift\n":     {},
		"": {},
	} {
		from, size, ok := unchanging(line, program)
		if from != want[0] || size != want[1] || ok != (size != 0) {
			t.Errorf("unchanging(%q) = %x, %x, %v; want %x", line, from, size, ok, want)
		}
	}
}

// TestAProgramThatLetGoOfItsPagesRunsOn lets go while the program runs, which reads them again at once.
func TestAProgramThatLetGoOfItsPagesRunsOn(t *testing.T) {
	for range 3 {
		if err := dropProgram(); err != nil {
			t.Fatal(err)
		}
	}
}
