package hook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/registry"
)

// Explain tells what the receiver makes of a registry's request. A *registry.ProofError is what it answers 401, a
// *registry.UndecidedError 503, and then nothing was decoded. With every other error it answers 200: the result then names the error as
// the reason why the request is ignored. Both lists of the result are never nil. A panic of the sender's decoder is such an error
// too. What a request asks for is not done.
func Explain(sender registry.Sender, req registry.Request, verify bool) (registry.Decoded, error) {
	if verify {
		if err := prove(context.Background(), sender, req); err != nil {
			return nothing(), err
		}
	}
	return decode(sender, req)
}

// prove is the sender's proof. Its error is a *registry.ProofError or a *registry.UndecidedError.
func prove(ctx context.Context, sender registry.Sender, req registry.Request) error {
	err := guard("proving it", func() error { return sender.VerifyContext(ctx, req) })
	if err == nil || undecided(err) {
		return err
	}
	return unproved(sender.Type(), err)
}

func undecided(err error) bool {
	var later *registry.UndecidedError
	return errors.As(err, &later)
}

// wish is what a proved request wants to hear besides that it has come; nil for nearly all.
func wish(ctx context.Context, sender registry.Sender, req registry.Request) (answer *registry.Answer, err error) {
	err = guard("answering it", func() (err error) {
		answer, err = sender.Answer(ctx, req)
		return err
	})
	return answer, err
}

// decode is the sender's decoder, with its error, if there is one, as the reason why the request is ignored.
func decode(sender registry.Sender, req registry.Request) (registry.Decoded, error) {
	decoded := nothing()
	err := guard("decoding it", func() (err error) {
		decoded, err = sender.Decode(req)
		return err
	})
	if err != nil {
		decoded = nothing()
		decoded.Ignored = append(decoded.Ignored, registry.Ignored{Reason: err.Error()})
		return decoded, err
	}
	if decoded.Pushes == nil {
		decoded.Pushes = []registry.Push{}
	}
	if decoded.Ignored == nil {
		decoded.Ignored = []registry.Ignored{}
	}
	return decoded, nil
}

func nothing() registry.Decoded {
	return registry.Decoded{Pushes: []registry.Push{}, Ignored: []registry.Ignored{}}
}

// unproved makes sure that a proof which failed, in whatever way, is told from a body that is not understood.
func unproved(kind string, err error) error {
	var proof *registry.ProofError
	if errors.As(err, &proof) {
		return err
	}
	return &unprovedError{&registry.ProofError{Sender: kind, Reason: err.Error()}, err}
}

// unprovedError is a proof that ended in a way of its own.
type unprovedError struct {
	proof *registry.ProofError
	err   error
}

func (e *unprovedError) Error() string   { return e.proof.Error() }
func (e *unprovedError) Unwrap() []error { return []error{e.proof, e.err} }

// faultError is a panic while a request was looked at. It says of the panic what cannot hold a part of the request.
type faultError struct {
	doing, what string
	stack       []byte
}

func (e *faultError) Error() string {
	return fmt.Sprintf("a fault in the program while %s: %s", e.doing, e.what)
}

// Hint says what to do.
func (e *faultError) Hint() string { return "please report it, with the sender's type and version" }

// Permanent tells that the same request will come to the same end.
func (e *faultError) Permanent() bool { return true }

// guard makes an error of a panic.
func guard(doing string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fault := &faultError{doing: doing, what: fmt.Sprintf("panic with a %T", p), stack: debug.Stack()}
			if known, ok := p.(runtime.Error); ok {
				fault.what = known.Error()
			}
			err = fault
		}
	}()
	return do()
}

func verifyForge(f forge.Webhook, header http.Header, body []byte) error {
	return guard("proving it", func() error { return f.Verify(header, body) })
}

func decodeForge(f forge.Webhook, header http.Header, body []byte) (event forge.Event, err error) {
	err = guard("decoding it", func() (err error) {
		event, err = f.Decode(header, body)
		return err
	})
	return event, err
}
