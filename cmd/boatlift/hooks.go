package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/registry"
)

func newHooks() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hooks", Short: "Look at the webhooks of registries", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newHooksDecode())
	return cmd
}

type decodeFlags struct {
	kind, secret, host, headers string
	noVerify                    bool
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
	_ = cmd.MarkFlagRequired("type") // the flag is there
	cmd.MarkFlagsMutuallyExclusive("secret", "no-verify")
	return cmd
}

func decodeHook(cmd *cobra.Command, f decodeFlags, bodyFile string) error {
	kind, err := registry.Lookup(f.kind)
	if err != nil {
		return err
	}
	endpoint := registry.Endpoint{Host: f.host, Secret: []byte(f.secret)}
	switch {
	case f.noVerify:
		endpoint.Secret = []byte("not looked at")
	case f.secret == "":
		return &usageError{errors.New("one of --secret and --no-verify is needed")}
	}
	sender, err := registry.NewSender(kind, endpoint)
	if err != nil {
		return err
	}
	header, err := readHeaders(f.headers)
	if err != nil {
		return err
	}
	body, err := readBody(cmd, bodyFile)
	if err != nil {
		return err
	}
	req := registry.Request{Method: http.MethodPost, Header: header, Body: body}
	if !f.noVerify {
		if err := sender.Verify(req); err != nil {
			return err
		}
	}
	decoded, err := sender.Decode(req)
	var wrong *registry.DecodeError
	if errors.As(err, &wrong) { // the bot answers 200 and keeps the reason
		decoded = registry.Decoded{Pushes: []registry.Push{}, Ignored: []registry.Ignored{{Reason: wrong.Error()}}}
		say(cmd.ErrOrStderr(), err)
	} else if err != nil {
		return err
	}
	return printJSON(cmd, decoded)
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
