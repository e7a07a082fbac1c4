package hub

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// What is needed of GraphQL (https://spec.graphql.org/): operations with variables, fields with arguments, aliases and inline fragments. No
// directives, named fragments or introspection.

// selection is one field that is asked for, or an inline fragment.
type selection struct {
	name, alias string
	args        map[string]any
	fields      []selection
	on          string // the type of an inline fragment
}

// resolver is a field with arguments.
type resolver func(args map[string]any) (any, error)

// undefinedField reports a field that a type does not have.
type undefinedField struct{ field, typ string }

func (e *undefinedField) Error() string {
	return fmt.Sprintf("Field '%s' doesn't exist on type '%s'", e.field, e.typ)
}

// graphqlParser reads a document of one operation.
type graphqlParser struct {
	text      []rune
	at        int
	variables map[string]any
}

var errGraphQL = errors.New("the query cannot be parsed")

// parseGraphQL returns whether the operation is a mutation, and what it asks for.
func parseGraphQL(text string, variables map[string]any) (mutation bool, fields []selection, err error) {
	p := &graphqlParser{text: []rune(text), variables: variables}
	if kind := p.peekName(); kind != "" {
		p.name()
		mutation = kind == "mutation"
		p.name()
		if p.take('(') {
			for !p.take(')') {
				if p.at >= len(p.text) {
					return false, nil, errGraphQL
				}
				p.at++
			}
		}
	}
	fields, err = p.selections(0)
	return mutation, fields, err
}

func (p *graphqlParser) skip() {
	for p.at < len(p.text) && (unicode.IsSpace(p.text[p.at]) || p.text[p.at] == ',') {
		p.at++
	}
}

func (p *graphqlParser) take(r rune) bool {
	p.skip()
	if p.at < len(p.text) && p.text[p.at] == r {
		p.at++
		return true
	}
	return false
}

func (p *graphqlParser) peekName() string {
	p.skip()
	end := p.at
	for end < len(p.text) && (unicode.IsLetter(p.text[end]) || unicode.IsDigit(p.text[end]) || p.text[end] == '_') {
		end++
	}
	return string(p.text[p.at:end])
}

func (p *graphqlParser) name() string {
	name := p.peekName()
	p.at += len([]rune(name))
	return name
}

func (p *graphqlParser) selections(depth int) ([]selection, error) {
	if !p.take('{') || depth > 30 {
		return nil, errGraphQL
	}
	var all []selection
	for !p.take('}') {
		var s selection
		if p.take('.') {
			dots := 1
			for p.take('.') {
				dots++
			}
			if dots != 3 || p.name() != "on" {
				return nil, errGraphQL
			}
			s.on = p.name()
		} else {
			if s.name = p.name(); s.name == "" {
				return nil, errGraphQL
			}
			s.alias = s.name
			if p.take(':') {
				s.name = p.name()
			}
			if p.take('(') {
				args, err := p.object(')')
				if err != nil {
					return nil, err
				}
				s.args = args
			}
		}
		if p.skip(); s.on != "" || p.at < len(p.text) && p.text[p.at] == '{' {
			fields, err := p.selections(depth + 1)
			if err != nil {
				return nil, err
			}
			s.fields = fields
		}
		all = append(all, s)
	}
	return all, nil
}

func (p *graphqlParser) object(end rune) (map[string]any, error) {
	members := map[string]any{}
	for !p.take(end) {
		key := p.name()
		if key == "" || !p.take(':') {
			return nil, errGraphQL
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		members[key] = value
	}
	return members, nil
}

func (p *graphqlParser) value() (any, error) {
	switch {
	case p.take('$'):
		return p.variables[p.name()], nil
	case p.take('{'):
		return p.object('}')
	case p.take('['):
		items := []any{}
		for !p.take(']') {
			item, err := p.value()
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return items, nil
	case p.take('"'):
		var b strings.Builder
		for p.at < len(p.text) && p.text[p.at] != '"' {
			if p.text[p.at] == '\\' {
				p.at++
			}
			if p.at < len(p.text) {
				b.WriteRune(p.text[p.at])
			}
			p.at++
		}
		if !p.take('"') {
			return nil, errGraphQL
		}
		return b.String(), nil
	}
	word := p.name()
	switch n, err := strconv.ParseFloat(word, 64); {
	case word == "":
		return nil, errGraphQL
	case err == nil:
		return n, nil
	case word == "true", word == "false":
		return word == "true", nil
	case word == "null":
		return nil, nil
	}
	return word, nil // an enum
}

// project picks of a value what is asked for.
func project(value any, fields []selection) (any, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			picked, err := project(item, fields)
			if err != nil {
				return nil, err
			}
			list = append(list, picked)
		}
		return list, nil
	case obj:
		return projectObject(v, fields)
	}
	return value, nil
}

func projectObject(from obj, fields []selection) (obj, error) {
	picked := obj{}
	typ, _ := from["__typename"].(string)
	for _, s := range fields {
		if s.on != "" {
			if s.on != typ {
				continue
			}
			inner, err := projectObject(from, s.fields)
			if err != nil {
				return nil, err
			}
			for key, value := range inner {
				picked[key] = value
			}
			continue
		}
		value, ok := from[s.name]
		if !ok {
			return nil, &undefinedField{s.name, typ}
		}
		if resolve, ok := value.(resolver); ok {
			var err error
			if value, err = resolve(s.args); err != nil {
				return nil, err
			}
		}
		inner, err := project(value, s.fields)
		if err != nil {
			return nil, err
		}
		picked[s.alias] = inner
	}
	return picked, nil
}
