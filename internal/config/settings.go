package config

// settings are texts by name, whose meaning is that of the registry's type.
type settings struct {
	place
	set    bool
	values map[string]string
}

func (s *settings) read(d *decoder, n *node, f field) {
	if !d.is(n, mapping, f) {
		return
	}
	s.set, s.values = true, map[string]string{}
	for _, p := range n.pairs {
		if !d.spend() {
			return
		}
		switch p.value.kind {
		case scalarText:
			s.values[p.key] = p.value.value.(string)
		case scalarNumber:
			s.values[p.key] = p.value.text
		default:
			d.add(p.value, "a setting must be text, and is "+p.value.describedSize(), "put it between quotes")
		}
	}
}
