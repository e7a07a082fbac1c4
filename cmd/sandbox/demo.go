package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

type demoOptions struct {
	bot, dir string
	forge    string // of tiers
	record   string // where what the bot and the forge say to each other is written; empty: nowhere
	publish  string // the checkout whose README is to show the benchmark's figures; empty: none
	once     bool
	stdin    io.Reader
	stdout   io.Writer
}

// tiers are the forges that there can be, by what people call them. GitHub has none.
func tiers() map[string]hub.Tier {
	return map[string]hub.Tier{"github": "", "gitlab": hub.Free, "gitlab-premium": hub.Premium, "gitlab-ultimate": hub.Ultimate}
}

// demo sets the stage, and plays on it: the whole job once, or with a person.
func demo(ctx context.Context, o demoOptions) (err error) {
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "boatlift-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	setting := stage.Options{Dir: dir, BotPath: o.bot, GitLab: tiers()[o.forge]}
	if o.once {
		setting.Config = guarded()
	}
	if o.record != "" {
		var file *os.File
		if file, err = os.OpenFile(o.record, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		transcript := hub.NewTranscript(file)
		defer func() { err = errors.Join(err, transcript.Err(), file.Close()) }()
		setting.Hub = func(h *hub.Options) { h.OnExchange, h.OnWebhook = transcript.Exchange, transcript.Webhook }
	}
	s, err := stage.Start(ctx, setting)
	if err != nil {
		return errors.Join(err, showLog(dir))
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p := &play{s: s, out: o.stdout, bot: o.bot, gitLab: setting.GitLab != ""}
	p.introduce()
	if o.once {
		if err := p.once(ctx); err != nil {
			return errors.Join(err, showLog(dir))
		}
		return nil
	}
	return p.withPerson(ctx, o.stdin)
}

// showLog makes the end of the bot's log part of an error, as the folder will be gone.
func showLog(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "bot", "bot.log"))
	if err != nil {
		return nil //nolint:nilerr // there is no log to show
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	return errors.New("the end of the bot's log:\n" + strings.Join(lines, "\n"))
}

// play is what happens on the stage, and how it is told.
type play struct {
	s   *stage.Stage
	out io.Writer
	bot string
	// gitLab: the forge is one, which says "merge request", and writes !1.
	gitLab bool
}

// ref is a pull request as its forge writes it.
func (p *play) ref(repo string, number int) string {
	if p.gitLab {
		return fmt.Sprintf("%s!%d", repo, number)
	}
	return fmt.Sprintf("%s#%d", repo, number)
}

// page is the address of a pull request.
func (p *play) page(repo string, number int) string {
	if p.gitLab {
		return fmt.Sprintf("%s/%s/-/merge_requests/%d", p.s.Hub.URL(), repo, number)
	}
	return fmt.Sprintf("%s/%s/pull/%d", p.s.Hub.URL(), repo, number)
}

func (p *play) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *play) introduce() {
	p.say("Boatlift, on this machine, without any account:")
	p.say("")
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  registry\t%s\tthe CNCF Distribution registry; it tells the bot of every push\n", p.s.Registry.Host())
	whose := "GitHub's"
	if p.gitLab {
		whose = "GitLab's"
	}
	fmt.Fprintf(w, "  forge\t%s\tspeaks %s API over real git repositories\n", p.s.Hub.URL(), whose)
	fmt.Fprintf(w, "  bot\t%s\tprocess %d, with a SQLite database\n", p.s.Bot.URL(), p.s.Bot.PID())
	_ = w.Flush() // to a terminal or a buffer
	p.say("")
	p.say("Both environments run shop/web:%[1]s and shop/worker:%[1]s.", stage.FirstTag)
}

// withPerson leaves the stage to a person until they have had enough.
func (p *play) withPerson(ctx context.Context, stdin io.Reader) error {
	p.say("")
	p.say("Pushing shop/web:1.4.2 and shop/worker:1.4.2 …")
	if err := p.s.Push(ctx, "1.4.2"); err != nil {
		return err
	}
	if err := p.awaitOpen(ctx, stage.Acceptance, "1.4.2"); err != nil {
		return err
	}
	if err := p.awaitOpen(ctx, stage.Production, "1.4.2"); err != nil {
		return err
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		pull, err := p.open(repo, "1.4.2")
		if err != nil {
			return err
		}
		p.say("  %s  %s", p.page(repo, pull.Number), pull.Title)
	}
	p.say("")
	p.say("What to try:")
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  look\topen the pull requests above in a browser: diff, check, and buttons to approve, merge, close\n")
	fmt.Fprintf(w, "  merge\tacceptance's, and see production's gate turn green a moment later\n")
	fmt.Fprintf(w, "  close\tproduction's: that rejects the release; reopening takes it back\n")
	fmt.Fprintf(w, "  push another tag\ttype here: push 1.4.3   (or in another terminal: %s push %s/shop/web:1.4.3)\n", self(), p.s.Registry.Host())
	fmt.Fprintf(w, "  status\ttype here: status        (or: %s status --data %s)\n", p.bot, p.s.Bot.DataDir())
	fmt.Fprintf(w, "  why\ttype here: why shop/web:1.4.3\n")
	fmt.Fprintf(w, "  end\tCtrl-C\n")
	_ = w.Flush() // to a terminal or a buffer
	p.say("")
	lines := make(chan string)
	go func() { // ends with the process: a read of a terminal cannot be interrupted
		in := bufio.NewScanner(stdin)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			p.say("")
			p.say("Ending; everything is removed.")
			return nil
		case line := <-lines:
			p.obey(ctx, strings.Fields(line))
		}
	}
}

func self() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "sandbox"
}

// obey does what a person typed.
func (p *play) obey(ctx context.Context, words []string) {
	switch {
	case len(words) == 0:
	case words[0] == "push" && len(words) == 2:
		if err := p.s.Push(ctx, words[1]); err != nil {
			p.say("%v", err)
			return
		}
		p.say("pushed shop/web:%[1]s and shop/worker:%[1]s", words[1])
	case words[0] == "status" || words[0] == "why" || words[0] == "hold" || words[0] == "lift":
		text, err := p.s.Bot.Command(ctx, words...)
		fmt.Fprint(p.out, text)
		if err != nil {
			p.say("%v", err)
		}
	default:
		p.say("push TAG, status, why IMAGE or PULL REQUEST; Ctrl-C ends")
	}
}

// open finds the open pull request of a release.
func (p *play) open(repo, tag string) (hub.Pull, error) {
	pulls, err := p.s.Hub.Pulls(repo)
	if err != nil {
		return hub.Pull{}, err
	}
	for _, pull := range pulls {
		if pull.State == "open" && strings.HasSuffix(pull.Title, tag) {
			return pull, nil
		}
	}
	return hub.Pull{}, fmt.Errorf("%s has no open pull request for %s", repo, tag)
}

const patience = 20 * time.Second

func (p *play) awaitOpen(ctx context.Context, repo, tag string) error {
	return stage.Await(ctx, patience, fmt.Sprintf("a pull request for %s in %s", tag, repo), func() (bool, error) {
		pull, err := p.open(repo, tag)
		if err != nil {
			return false, nil // not yet
		}
		check, err := p.gate(repo, pull.HeadSHA)
		return check.Name != "", err
	})
}

// gate is the check that shows the gate on a commit. Where a check has no room for text, its text is the pull request's.
func (p *play) gate(repo, sha string) (hub.Check, error) {
	check, err := p.s.Check(repo, sha, stage.GateCheck)
	if err != nil || check.Name == "" || check.Summary != "" {
		return check, err
	}
	pulls, err := p.s.Hub.Pulls(repo)
	for _, pull := range pulls {
		if pull.HeadSHA == sha {
			check.Summary = pull.Body
		}
	}
	return check, err
}
