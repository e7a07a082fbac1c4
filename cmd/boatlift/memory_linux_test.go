package main

import "testing"

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
