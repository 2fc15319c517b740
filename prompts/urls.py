"""The chat's pages; the fragments answer htmx, and plain forms get a redirect."""

from django.urls import path

from prompts import views

app_name = "prompts"
urlpatterns = [
    path("", views.chat_home, name="chat-home"),
    path("c/", views.conversations, name="conversation-list"),
    path("c/new/", views.conversation_create, name="conversation-create"),
    path("c/<uuid:conversation_id>/", views.conversation_detail, name="conversation-detail"),
    path("c/<uuid:conversation_id>/messages/", views.message_create, name="message-create"),
    path("c/<uuid:conversation_id>/rename/", views.conversation_rename, name="conversation-rename"),
    path("c/<uuid:conversation_id>/delete/", views.conversation_delete, name="conversation-delete"),
    path("c/diagram/", views.diagram_frame, name="diagram-frame"),
    path("m/<uuid:message_id>/markdown/", views.message_markdown, name="message-markdown"),
    path("m/<uuid:message_id>/events/", views.message_events, name="message-events"),
    path("m/<uuid:message_id>/stop/", views.message_stop, name="message-stop"),
    path("m/<uuid:message_id>/edit/", views.message_edit, name="message-edit"),
    path("m/<uuid:message_id>/regenerate/", views.message_regenerate, name="message-regenerate"),
    path("m/<uuid:message_id>/continue/", views.message_continue, name="message-continue"),
]
