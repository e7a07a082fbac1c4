package dashboard

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tame leaves JSON as it was, but for the characters in its texts that nobody sees.
func TestTame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\\u00b"n\x00-\x20\x7f-\x{a0}\x{200b}\x{202e}\x{2028}]*`)).Draw(t, "text")
		in := map[string]any{"a": text, "list": []any{text, "plain", 1.0, nil, true}}
		out, err := encode(in)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("tame(%q) is no JSON: %s: %v", text, out, err)
		}
		want := strings.Map(visible, strings.ToValidUTF8(text, string(hidden)))
		// encoding/json writes one mark for each bad byte, ToValidUTF8 one for a run of them.
		squeeze := func(s string) string {
			for strings.Contains(s, string(hidden)+string(hidden)) {
				s = strings.ReplaceAll(s, string(hidden)+string(hidden), string(hidden))
			}
			return s
		}
		if squeeze(got["a"].(string)) != squeeze(want) {
			t.Fatalf("tame(%q) = %q; want %q", text, got["a"], want)
		}
		if list := got["list"].([]any); !reflect.DeepEqual(list[1:], []any{"plain", 1.0, nil, true}) {
			t.Fatalf("tame changed %v", list)
		}
		if strings.ContainsFunc(got["a"].(string), func(r rune) bool { return visible(r) != r }) {
			t.Fatalf("tame(%q) left %q", text, got["a"])
		}
	})
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"one\ntwo\r\n\tthree":      "one two three",
		"\x1b[31mred":              "�[31mred",
		"left\u202eright":          "left�right",
		"Grüße, 世界 🚢, e\u0301":     "Grüße, 世界 🚢, e\u0301",
		"\n\n":                     "",
		"a\u2028b\u0085c\u00a0d":   "a�b�c\u00a0d",
		"tags are <i>not</i> HTML": "tags are <i>not</i> HTML",
	} {
		if got := line(in); got != want {
			t.Errorf("line(%q) = %q; want %q", in, got, want)
		}
	}
}

// An answer that cannot be written is an error, and still JSON.
func TestAnAnswerThatCannotBeWritten(t *testing.T) {
	if _, err := encode(make(chan int)); err == nil {
		t.Error("encode(channel) gives no error")
	}
	p := problemOf(httptest.NewRequest("GET", "/", nil), &Problem{Message: "a problem without a status"})
	if p.Status != 500 {
		t.Errorf("status = %d; want 500", p.Status)
	}
}
