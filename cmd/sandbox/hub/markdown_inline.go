package hub

import (
	"html"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// inline renders what stands within a line: code, emphasis, links, breaks. All other text is escaped; character references stay
// what they are, as they are text and never tags.
func inline(text string, depth int) string {
	var out, plain strings.Builder
	flush := func() {
		out.WriteString(html.EscapeString(html.UnescapeString(plain.String())))
		plain.Reset()
	}
	for i := 0; i < len(text); {
		rendered, length := "", 0
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && strings.IndexByte("\\`*_{}[]()#+-.!|<>~&@", text[i+1]) >= 0:
			flush()
			out.WriteString(html.EscapeString(text[i+1 : i+2]))
			i += 2
			continue
		case c == '`':
			rendered, length = codeSpan(text[i:])
		case c == '[' && depth < maxNesting:
			rendered, length = link(text[i:], depth)
		case c == '<':
			rendered, length = angle(text[i:])
		case (c == '*' || c == '~' || c == '_') && depth < maxNesting:
			rendered, length = emphasis(text, i, depth)
		case c == 'h' && (i == 0 || !isWord(before(text, i))):
			rendered, length = bareLink(text[i:])
		}
		if length == 0 {
			plain.WriteByte(text[i])
			i++
			continue
		}
		flush()
		out.WriteString(rendered)
		i += length
	}
	flush()
	return out.String()
}

func window(text string) string { return text[:min(len(text), maxSpan)] }

func before(text string, i int) rune {
	r, _ := utf8.DecodeLastRuneInString(text[:i])
	return r
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// codeSpan renders `code`, with as many back-ticks on either side as it takes.
func codeSpan(text string) (string, int) {
	ticks := len(text) - len(strings.TrimLeft(text, "`"))
	mark := text[:ticks]
	rest := window(text[ticks:])
	for at := 0; ; {
		end := strings.Index(rest[at:], mark)
		if end < 0 {
			return html.EscapeString(mark), ticks
		}
		end += at
		closing := len(rest[end:]) - len(strings.TrimLeft(rest[end:], "`"))
		if closing == ticks {
			code := strings.ReplaceAll(rest[:end], "\n", " ")
			if strings.HasPrefix(code, " ") && strings.HasSuffix(code, " ") && strings.TrimSpace(code) != "" {
				code = code[1 : len(code)-1]
			}
			return "<code>" + html.EscapeString(code) + "</code>", ticks + end + ticks
		}
		at = end + closing
	}
}

// link renders [text](address) where the address is plain http or https, or lies on this site.
func link(text string, depth int) (string, int) {
	within := window(text)
	open := 0
	for i := 0; i < len(within); i++ {
		switch within[i] {
		case '\\':
			i++
		case '[':
			open++
		case ']':
			if open--; open > 0 {
				continue
			}
			if i+1 >= len(within) || within[i+1] != '(' {
				return "", 0
			}
			end := strings.IndexByte(within[i+2:], ')')
			if end < 0 {
				return "", 0
			}
			address, _, _ := strings.Cut(strings.TrimSpace(within[i+2:i+2+end]), " ")
			address = strings.Trim(address, "<>")
			label := inline(within[1:i], depth+1)
			if !safeAddress(address) {
				return label, i + 2 + end + 1
			}
			return anchor(address, label), i + 2 + end + 1
		}
	}
	return "", 0
}

func safeAddress(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return u.Host != ""
	}
	return u.Scheme == "" && u.Host == "" && (strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") || strings.HasPrefix(address, "#"))
}

func anchor(address, label string) string {
	return `<a href="` + html.EscapeString(address) + `" rel="noopener noreferrer nofollow">` + label + "</a>"
}

// angle renders <br> and <https://…>; any other tag is text.
func angle(text string) (string, int) {
	end := strings.IndexByte(window(text), '>')
	if end < 0 {
		return "", 0
	}
	inside := text[1:end]
	switch strings.ToLower(strings.TrimSpace(strings.TrimSuffix(inside, "/"))) {
	case "br":
		return "<br>", end + 1
	}
	if (strings.HasPrefix(inside, "http://") || strings.HasPrefix(inside, "https://")) && safeAddress(inside) && !strings.ContainsAny(inside, " \n") {
		return anchor(inside, html.EscapeString(inside)), end + 1
	}
	return "", 0
}

// bareLink renders an address that stands in the text by itself.
func bareLink(text string) (string, int) {
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return "", 0
	}
	end := strings.IndexAny(window(text), " \t\n<>\"'`|)]")
	if end < 0 {
		end = len(window(text))
	}
	address := strings.TrimRight(text[:end], ".,;:!?*_~")
	if !safeAddress(address) {
		return "", 0
	}
	return anchor(address, html.EscapeString(address)), len(address)
}

// emphasis renders **strong**, *emphasis*, ~~struck~~ and, between words only, their forms with underscores.
func emphasis(text string, at, depth int) (string, int) {
	c := text[at]
	mark := text[at : at+1]
	if at+1 < len(text) && text[at+1] == c {
		mark = text[at : at+2]
	}
	if c == '~' && len(mark) < 2 || c == '_' && at > 0 && isWord(before(text, at)) {
		return "", 0
	}
	rest := window(text[at+len(mark):])
	end := strings.Index(rest, mark)
	if end <= 0 || rest[0] == ' ' || rest[end-1] == ' ' {
		return "", 0
	}
	if after := rest[end+len(mark):]; c == '_' && after != "" {
		if r, _ := utf8.DecodeRuneInString(after); isWord(r) {
			return "", 0
		}
	}
	tag := "em"
	switch {
	case c == '~':
		tag = "del"
	case len(mark) == 2:
		tag = "strong"
	}
	return "<" + tag + ">" + inline(rest[:end], depth+1) + "</" + tag + ">", 2*len(mark) + end
}
