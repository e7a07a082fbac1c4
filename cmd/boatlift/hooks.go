package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/registry"
)

func newHooks() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hooks", Short: "Look at the webhooks of registries", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newHooksDecode(), newHooksList(), newHooksSetup())
	return cmd
}

type decodeFlags struct {
	kind, secret, host, headers, path, query, method string
	settings                                         map[string]string
	noVerify                                         bool
}

func newHooksDecode() *cobra.Command {
	var f decodeFlags
	cmd := &cobra.Command{
		Use:   "decode --type TYPE [--secret SECRET | --no-verify] --headers headers.json body.json",
		Short: "Print what the bot would make of a webhook",
		Long: `Print as JSON what the bot would make of a webhook: the pushes it tells of, and what is
ignored and why. headers.json is a plain object of header names and values; - as the
body reads standard input. A webhook that the bot would answer with 401 ends with exit
code 1 and the reason.`,
		Example: `  boatlift hooks decode --type distribution --secret s3cret --headers headers.json body.json
  boatlift hooks decode --type ghcr --no-verify --headers headers.json body.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return decodeHook(cmd, f, args[0]) },
	}
	cmd.Flags().StringVar(&f.kind, "type", "", "type of the sender, as in boatlift.yaml (required)")
	cmd.Flags().StringVar(&f.secret, "secret", "", "the secret that proves the sender")
	cmd.Flags().BoolVar(&f.noVerify, "no-verify", false, "do not ask for a proof")
	cmd.Flags().StringVar(&f.host, "host", "", "host of the registry, where the sender does not say it")
	cmd.Flags().StringVar(&f.headers, "headers", "", "file with the request's headers as a JSON object")
	cmd.Flags().StringVar(&f.path, "path", "", "what follows /hooks/NAME/ in the request's address, where the sender carries its secret there")
	cmd.Flags().StringVar(&f.query, "query", "", "the query of the request's address")
	cmd.Flags().StringVar(&f.method, "method", http.MethodPost, "the request's method")
	cmd.Flags().StringToStringVar(&f.settings, "set", nil, "a setting of the type, as name=value; boatlift hooks list names them")
	_ = cmd.MarkFlagRequired("type") // the flag is there
	cmd.MarkFlagsMutuallyExclusive("secret", "no-verify")
	return cmd
}

func decodeHook(cmd *cobra.Command, f decodeFlags, bodyFile string) error {
	kind, err := registry.Lookup(f.kind)
	if err != nil {
		return err
	}
	sender, err := decodingSender(kind, f)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(f.query)
	if err != nil {
		return &usageError{errors.New("--query is no query of an address")}
	}
	header, err := readHeaders(f.headers)
	if err != nil {
		return err
	}
	body, err := readBody(cmd, bodyFile)
	if err != nil {
		return err
	}
	req := registry.Request{Method: f.method, Path: f.path, Query: query, Header: header, Body: body}
	decoded, err := hook.Explain(sender, req, !f.noVerify)
	var refused *registry.ProofError
	var undecided *registry.UndecidedError
	switch {
	case errors.As(err, &refused), errors.As(err, &undecided): // the bot answers 401 or 503
		return err
	case err != nil: // the bot answers 200 and keeps the reason
		say(cmd.ErrOrStderr(), err)
	}
	return printJSON(cmd, decoded)
}

// decodingSender is the endpoint that the flags describe. Without a proof, what the proof needs may be left out.
func decodingSender(kind registry.Type, f decodeFlags) (registry.Sender, error) {
	endpoint := registry.Endpoint{Host: f.host, Secret: []byte(f.secret), Settings: f.settings}
	if f.noVerify {
		return registry.NewDecoder(kind, endpoint)
	}
	sender, err := registry.NewSender(kind, endpoint)
	if f.secret == "" && errors.Is(err, registry.ErrNoSecret) {
		return sender, &usageError{errors.New("one of --secret and --no-verify is needed")}
	}
	return sender, err
}

func newHooksList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the types of senders: what proves each, what each lacks and needs, how often each is polled", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(cmd, senderTypes())
			}
			for i, t := range senderTypes() {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n  proof: %s\n", t.Name, t.Title, t.Proof)
				for _, lack := range t.Lacks {
					fmt.Fprintf(cmd.OutOrStdout(), "  lacks: %s\n", lack)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  repeats: %s\n  poll: every %s, unless boatlift.yaml says else\n", t.Repeats, t.Poll)
				if t.NeedsHost {
					fmt.Fprintln(cmd.OutOrStdout(), "  needs: host, as its webhooks do not name it")
				}
				for _, s := range t.Settings {
					fmt.Fprintf(cmd.OutOrStdout(), "  setting %s\n", s)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// senderType is a type of sender as hooks list prints it.
type senderType struct {
	Name      string   `json:"name"`
	Title     string   `json:"title"`
	Proof     string   `json:"proof"`
	Lacks     []string `json:"lacks,omitempty"`
	Repeats   string   `json:"repeats"`
	Poll      string   `json:"poll"`
	NeedsHost bool     `json:"needsHost,omitempty"`
	Settings  []string `json:"settings,omitempty"`
}

func senderTypes() []senderType {
	var types []senderType
	for _, t := range registry.Types() {
		out := senderType{Name: t.Name, Title: t.Title, Proof: t.Proof, Lacks: t.Lacks, Repeats: t.Repeats.String(), Poll: dashboard.Span(t.Poll()), NeedsHost: t.NeedsHost}
		for _, s := range t.Settings {
			text := s.Name + ": " + s.Says
			switch {
			case s.Required:
				text += " (required)"
			case s.Default != "":
				text += " (default " + s.Default + ")"
			}
			out.Settings = append(out.Settings, text)
		}
		types = append(types, out)
	}
	return types
}

func newHooksSetup() *cobra.Command {
	var file string
	var showSecret bool
	cmd := &cobra.Command{
		Use: "setup NAME", Short: "Print what to configure at the registry that boatlift.yaml calls NAME", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return setupHook(cmd, file, args[0], showSecret) },
	}
	cmd.Flags().StringVar(&file, "config", "boatlift.yaml", "the bot's configuration file")
	cmd.Flags().BoolVar(&showSecret, "show-secret", false, "print the secret itself, not where it stands")
	return cmd
}

func setupHook(cmd *cobra.Command, file, name string, showSecret bool) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return &configError{err}
	}
	bot, err := config.ParseBot(file, text, environ(file))
	if err != nil {
		return &configError{err}
	}
	var names []string
	for _, r := range bot.Registries {
		names = append(names, r.Name)
		if r.Name != name {
			continue
		}
		if r.OnlyPolled {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s has no webhook, as it has no secret: it is asked for its tags every %s. Nothing is to be configured there.\n", r.Name, dashboard.Span(r.Poll))
			return err
		}
		if r.Webhook != "" {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "The pushes of %s come through the webhook of the App of %s: subscribe the App to the event registry_package, and give it Packages: read.\n", r.Name, r.Webhook)
			return err
		}
		sender, err := makeSender(r, r.Secrets)
		if err != nil {
			return &configError{err}
		}
		base := bot.PublicURL
		if base == "" {
			base = "https://YOUR-HOST"
		}
		secret := "THE-SECRET-OF-" + strings.ToUpper(r.Name)
		if showSecret {
			secret = string(r.Secrets.First().Reveal())
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(sender.Setup(registry.Guide{Name: r.Name, URL: base + "/hooks/" + r.Name, Secret: secret}), "\n"))
		return err
	}
	return &fileError{file, "no registry is called " + name, "its registries are " + strings.Join(names, ", ")}
}

func readHeaders(file string) (http.Header, error) {
	header := http.Header{}
	if file == "" {
		return header, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFile(file, "name a JSON file with the request's headers, or leave --headers out")
	}
	if err != nil {
		return nil, err
	}
	var plain map[string]string
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, &fileError{file, "it is no JSON object of header names and values: " + err.Error(), `write it like {"Content-Type": "application/json"}`}
	}
	for name, value := range plain {
		header.Set(name, value)
	}
	return header, nil
}

func readBody(cmd *cobra.Command, file string) ([]byte, error) {
	const most = 25 << 20
	var in io.Reader = cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, noFile(file, "name the body of one request, or - for standard input")
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(body) > most {
		return nil, &fileError{file, "it is larger than any webhook", "name the body of one request"}
	}
	return body, nil
}
