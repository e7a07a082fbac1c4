package config

// tokenUser is the account's name where only a token is given. GitHub and GitLab take any with one.
const tokenUser = "x-access-token"

// credentials checks how to log in to a registry: with a name and password, with a token, or by what a cloud gives to the machine.
func (b *botCheck) credentials(r registryEntry, out *Registry) {
	c := r.Credentials
	if c == nil {
		return
	}
	if r.Host.line == 0 {
		b.add(c, "credentials need the host that they are for", "write host: registry.acme.io as images name it")
	}
	const right = "write {username: bot, password: env:NAME}, {token: env:NAME}, or {helper: ecr}"
	account, token, helper := c.given["username"] || c.given["password"], c.given["token"], c.given["helper"]
	switch {
	case !c.isMap: // said already
	case account && (token || helper) || token && helper:
		b.add(c, "credentials are of several kinds", right)
	case !account && !token && !helper:
		b.add(c, "credentials say nothing", right)
	case account && !c.given["username"]:
		b.add(c, "username is missing", "write username: bot; or token: in place of password:")
	case account && !c.given["password"]:
		b.add(c, "password is missing", "write password: env:REGISTRY_PASSWORD")
	case helper && c.Helper.set && r.Host.set && b.env.HelperFits != nil && !b.env.HelperFits(c.Helper.value, out.Host):
		b.add(c.Helper, "the host is no registry of the cloud that this helper is for", helperRight)
	}
	switch {
	case account:
		out.Username, out.Password = c.Username.value, b.secret(c.Password, "password")
	case token:
		out.Username, out.Password = tokenUser, b.secret(c.Token, "token")
	case helper:
		out.Helper = c.Helper.value
	}
}

const helperRight = "ecr is for ACCOUNT.dkr.ecr.REGION.amazonaws.com, gar for REGION-docker.pkg.dev and gcr.io, acr for NAME.azurecr.io"
