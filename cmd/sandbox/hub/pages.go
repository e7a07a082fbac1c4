package hub

import "net/http"

func (h *Hub) pagesHandler() http.Handler { return http.NotFoundHandler() }
