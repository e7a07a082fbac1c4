package forge

// As finds what a forge offers beyond Forge, also where it is wrapped: a wrapper has Unwrap, and As(target any) bool if it offers
// something itself in the place of what it wraps. Nobody asserts the type of a Forge, as a wrapper would hide what is below it.
func As[T any](f Forge) (T, bool) {
	var found T
	for f != nil {
		if w, ok := f.(interface{ As(target any) bool }); ok && w.As(&found) {
			return found, true
		}
		if t, ok := f.(T); ok {
			return t, true
		}
		w, ok := f.(interface{ Unwrap() Forge })
		if !ok {
			break
		}
		f = w.Unwrap()
	}
	return found, false
}
