package hub

import (
	"regexp"
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"# Title #", "<h1>Title</h1>"},
		{"a **b** *c* ~~d~~ `e<` f_g_h", "<p>a <strong>b</strong> <em>c</em> <del>d</del> <code>e&lt;</code> f_g_h</p>"},
		{"``a`b``", "<p><code>a`b</code></p>"},
		{"[x](https://example.com/?a=1&b=2)", `<p><a href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer nofollow">x</a></p>`},
		{"[x](javascript:alert)", "<p>x</p>"},
		{"[x](//evil.example)", "<p>x</p>"},
		{"see https://example.com/a.", `<p>see <a href="https://example.com/a" rel="noopener noreferrer nofollow">https://example.com/a</a>.</p>`},
		{"<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"},
		{"a <!-- hidden\n --> b", "<p>a  b</p>"},
		{`\*a\* &lt;b&gt; &amp;`, "<p>*a* &lt;b&gt; &amp;</p>"},
		{"- a\n- [x] b", "<ul>\n<li>a</li>\n<li><input type=\"checkbox\" disabled checked> b</li>\n</ul>"},
		{"1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"},
		{"| a | b |\n| --- | :-: |\n| `x` | y \\| z |", "<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td><code>x</code></td><td>y | z</td></tr>\n</table>"},
		{"> quoted\n> more", "<blockquote>\n<p>quoted\nmore</p>\n</blockquote>"},
		{"```diff\n-a\n+<b>\n```", "<pre class=\"diff\"><code><span class=\"removed\">-a\n</span><span class=\"added\">+&lt;b&gt;\n</span></code></pre>"},
		{"<details open><summary>More</summary>\n\ntext\n\n</details>", "<details open><summary>More</summary>\n<p>text</p>\n</details>"},
		{"<details><summary>More</summary>\n\ntext\n\n</details>", "<details><summary>More</summary>\n<p>text</p>\n</details>"},
		{"<details>\ntext", "<details>\n<p>text</p>\n</details>"},
		{"---", "<hr>"},
		{"a<br>b", "<p>a<br>b</p>"},
	} {
		if got := strings.TrimSpace(string(markdown(c.text))); got != c.want {
			t.Errorf("markdown(%q) = %s; want %s", c.text, got, c.want)
		}
	}
}

// FuzzMarkdown proves that nothing but the renderer's own tags ever comes out.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"# a\n\n| a |\n|---|\n| <img src=x onerror=alert(1)> |", "[a](javascript:x) <a href='x'>", "```\n</code></pre><script>\n```", "<details onclick=x>",
		"[\"onmouseover=alert(1)](https://a/\"onclick=x)", "<summary><b>x</b></summary>", "`<`**<**__<__", "> > > <x>", "&lt;script&gt;", "https://a\"b",
	} {
		f.Add(seed)
	}
	allowed := regexp.MustCompile(`^<(/?(h[1-6]|p|ul|ol|li|table|tr|th|td|blockquote|code|pre|strong|em|del|details|summary|span|a)|br|hr|pre class="diff"|span class="(added|removed|hunk)"|details open|input type="checkbox" disabled( checked)?|a href="(https?://|/|#)[^"<>]*" rel="noopener noreferrer nofollow")>`)
	f.Fuzz(func(t *testing.T, text string) {
		out := string(markdown(text))
		for i := strings.IndexByte(out, '<'); i >= 0; {
			if !allowed.MatchString(out[i:]) {
				t.Fatalf("markdown(%q) lets through %q", text, out[i:min(len(out), i+80)])
			}
			next := strings.IndexByte(out[i+1:], '<')
			if next < 0 {
				break
			}
			i += 1 + next
		}
		if strings.Count(out, "<details") != strings.Count(out, "</details>") {
			t.Fatalf("markdown(%q) = %q leaves details open", text, out)
		}
	})
}
