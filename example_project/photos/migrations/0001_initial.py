import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
import example_project.photos.models
import scalekit.db
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Profile',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='profile', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('name', models.CharField(blank=True, max_length=60)),
                ('bio', models.CharField(blank=True, max_length=160)),
                ('avatar', models.ImageField(blank=True, upload_to=example_project.photos.models.avatar_name)),
            ],
        ),
        migrations.CreateModel(
            name='Photo',
            fields=[
                ('id', scalekit.db.SnowflakeField(primary_key=True, serialize=False, shard_group='users', shard_key='owner_id')),
                ('owner_id', models.BigIntegerField()),
                ('image', models.ImageField(upload_to=example_project.photos.models.photo_name)),
                ('thumbnail', models.ImageField(blank=True, upload_to=example_project.photos.models.thumbnail_name)),
                ('width', models.PositiveIntegerField(default=0)),
                ('height', models.PositiveIntegerField(default=0)),
                ('caption', models.CharField(blank=True, max_length=200)),
                ('alt', models.CharField(blank=True, max_length=200, verbose_name='description')),
                ('like_count', models.PositiveIntegerField(default=0, editable=False)),
                ('comment_count', models.PositiveIntegerField(default=0, editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'indexes': [models.Index(fields=['owner_id', '-id'], name='photo_of_owner')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('sharded_base', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='Follow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('followed', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='follower_links', to=settings.AUTH_USER_MODEL)),
                ('follower', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='following_links', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('follower', 'followed'), name='follow_once'), models.CheckConstraint(condition=models.Q(('follower', models.F('followed')), _negated=True), name='follow_others')],
            },
        ),
        migrations.CreateModel(
            name='Like',
            fields=[
                ('id', scalekit.db.SnowflakeField(primary_key=True, serialize=False, shard_group='users', shard_key='owner_id')),
                ('owner_id', models.BigIntegerField()),
                ('author_id', models.BigIntegerField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('photo', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='likes', to='photos.photo')),
            ],
            options={
                'indexes': [models.Index(fields=['owner_id'], name='like_of_owner')],
                'constraints': [models.UniqueConstraint(fields=('photo', 'author_id'), name='like_once')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('sharded_base', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='Comment',
            fields=[
                ('id', scalekit.db.SnowflakeField(primary_key=True, serialize=False, shard_group='users', shard_key='owner_id')),
                ('owner_id', models.BigIntegerField()),
                ('author_id', models.BigIntegerField()),
                ('text', models.CharField(max_length=500)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('photo', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comments', to='photos.photo')),
            ],
            options={
                'indexes': [models.Index(fields=['photo', 'id'], name='comment_of_photo')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('sharded_base', django.db.models.manager.Manager()),
            ],
        ),
    ]
